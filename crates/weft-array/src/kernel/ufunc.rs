//! The elementwise functions that have a kernel, and for which numbers.

use super::Num;

macro_rules! ufuncs {
    ($($variant:ident $name:literal $arity:literal $class:ident,)*) => {
        /// An elementwise function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Ufunc { $($variant,)* }

        impl Ufunc {
            /// By NumPy's name.
            pub fn from_name(name: &str) -> Option<Ufunc> {
                Some(match name {
                    $($name => Ufunc::$variant,)*
                    // Other names of the same, for real numbers.
                    "conjugate" => Ufunc::Positive,
                    "deg2rad" => Ufunc::Radians,
                    "rad2deg" => Ufunc::Degrees,
                    "float_power" => Ufunc::Power,
                    _ => return None,
                })
            }

            /// All of them.
            pub const ALL: &[Ufunc] = &[$(Ufunc::$variant),*];

            pub fn name(self) -> &'static str {
                match self { $(Ufunc::$variant => $name,)* }
            }

            pub fn arity(self) -> usize {
                match self { $(Ufunc::$variant => $arity,)* }
            }

            fn class(self) -> Class {
                match self { $(Ufunc::$variant => Class::$class,)* }
            }
        }
    };
}

/// What a function takes and gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Numbers and bools to the same.
    Any,
    /// Numbers to the same.
    Number,
    /// Floats to the same.
    Float,
    /// Integers and bools to the same.
    Bits,
    /// Integers to the same.
    Integer,
    /// Integers to small counts.
    Count,
    /// Anything to bool.
    Test,
}

ufuncs! {
    Add "add" 2 Any, Subtract "subtract" 2 Number, Multiply "multiply" 2 Any, Divide "divide" 2 Float,
    FloorDivide "floor_divide" 2 Number, Remainder "remainder" 2 Number, Fmod "fmod" 2 Number,
    Power "power" 2 Number, Gcd "gcd" 2 Integer, Lcm "lcm" 2 Integer,
    Minimum "minimum" 2 Any, Maximum "maximum" 2 Any, Fmin "fmin" 2 Any, Fmax "fmax" 2 Any,
    Arctan2 "arctan2" 2 Float, Hypot "hypot" 2 Float, Copysign "copysign" 2 Float,
    Logaddexp "logaddexp" 2 Float, Logaddexp2 "logaddexp2" 2 Float, Heaviside "heaviside" 2 Float,
    Nextafter "nextafter" 2 Float, LeftShift "left_shift" 2 Integer, RightShift "right_shift" 2 Integer,
    Equal "equal" 2 Test, NotEqual "not_equal" 2 Test, Less "less" 2 Test, LessEqual "less_equal" 2 Test,
    Greater "greater" 2 Test, GreaterEqual "greater_equal" 2 Test,
    LogicalAnd "logical_and" 2 Test, LogicalOr "logical_or" 2 Test, LogicalXor "logical_xor" 2 Test,
    LogicalNot "logical_not" 1 Test,
    BitwiseAnd "bitwise_and" 2 Bits, BitwiseOr "bitwise_or" 2 Bits, BitwiseXor "bitwise_xor" 2 Bits,
    Invert "invert" 1 Bits,
    Positive "positive" 1 Number, Negative "negative" 1 Number, Absolute "absolute" 1 Any, Fabs "fabs" 1 Float,
    Sign "sign" 1 Number, Square "square" 1 Number, Reciprocal "reciprocal" 1 Float,
    Sqrt "sqrt" 1 Float, Cbrt "cbrt" 1 Float, Exp "exp" 1 Float, Exp2 "exp2" 1 Float, Expm1 "expm1" 1 Float,
    Log "log" 1 Float, Log2 "log2" 1 Float, Log10 "log10" 1 Float, Log1p "log1p" 1 Float,
    Sin "sin" 1 Float, Cos "cos" 1 Float, Tan "tan" 1 Float, Arcsin "arcsin" 1 Float, Arccos "arccos" 1 Float,
    Arctan "arctan" 1 Float, Sinh "sinh" 1 Float, Cosh "cosh" 1 Float, Tanh "tanh" 1 Float,
    Arcsinh "arcsinh" 1 Float, Arccosh "arccosh" 1 Float, Arctanh "arctanh" 1 Float,
    Floor "floor" 1 Any, Ceil "ceil" 1 Any, Trunc "trunc" 1 Any, Rint "rint" 1 Float, Spacing "spacing" 1 Float,
    BitwiseCount "bitwise_count" 1 Count,
    Degrees "degrees" 1 Float, Radians "radians" 1 Float,
    IsNan "isnan" 1 Test, IsInf "isinf" 1 Test, IsFinite "isfinite" 1 Test, Signbit "signbit" 1 Test,
    Where "where" 3 Any, Clip "clip" 3 Any,
    Cast "astype" 1 Any,
}

impl Ufunc {
    /// The element type of the result when it computes with `num`; `None`: there is no kernel.
    pub fn result(self, num: Num) -> Option<Num> {
        match self.class() {
            Class::Any => Some(num),
            Class::Number => (num != Num::Bool).then_some(num),
            Class::Float => num.is_float().then_some(num),
            Class::Bits => (!num.is_float()).then_some(num),
            Class::Integer => (!num.is_float() && num != Num::Bool).then_some(num),
            Class::Count => (!num.is_float() && num != Num::Bool).then_some(Num::U8),
            Class::Test => Some(Num::Bool),
        }
    }

    /// Whether it costs much more than reading its operands.
    pub fn is_heavy(self) -> bool {
        use Ufunc::*;
        matches!(
            self,
            Power
                | Arctan2
                | Hypot
                | Cbrt
                | Exp
                | Exp2
                | Expm1
                | Log
                | Log2
                | Log10
                | Log1p
                | Sin
                | Cos
                | Tan
                | Arcsin
                | Arccos
                | Arctan
                | Sinh
                | Cosh
                | Tanh
                | Arcsinh
                | Arccosh
                | Arctanh
                | Logaddexp
                | Logaddexp2
                | Gcd
                | Lcm
                | Remainder
                | FloorDivide
        )
    }
}
