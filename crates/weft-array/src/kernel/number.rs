//! The numbers that kernels compute with.

use weft_data::NdType;

/// An element type that kernels know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Num {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
}

impl Num {
    pub fn from_dtype(dtype: &NdType) -> Option<Num> {
        Some(match dtype {
            NdType::Bool => Num::Bool,
            NdType::Int8 => Num::I8,
            NdType::Int16 => Num::I16,
            NdType::Int32 => Num::I32,
            NdType::Int64 => Num::I64,
            NdType::UInt8 => Num::U8,
            NdType::UInt16 => Num::U16,
            NdType::UInt32 => Num::U32,
            NdType::UInt64 => Num::U64,
            NdType::Float32 => Num::F32,
            NdType::Float64 => Num::F64,
            NdType::Opaque { .. } => return None,
        })
    }

    /// By NumPy's name.
    pub fn from_name(name: &str) -> Option<Num> {
        NdType::from_name(name).as_ref().and_then(Num::from_dtype)
    }

    pub fn dtype(self) -> NdType {
        match self {
            Num::Bool => NdType::Bool,
            Num::I8 => NdType::Int8,
            Num::I16 => NdType::Int16,
            Num::I32 => NdType::Int32,
            Num::I64 => NdType::Int64,
            Num::U8 => NdType::UInt8,
            Num::U16 => NdType::UInt16,
            Num::U32 => NdType::UInt32,
            Num::U64 => NdType::UInt64,
            Num::F32 => NdType::Float32,
            Num::F64 => NdType::Float64,
        }
    }

    pub fn nbytes(self) -> usize {
        match self {
            Num::Bool | Num::I8 | Num::U8 => 1,
            Num::I16 | Num::U16 => 2,
            Num::I32 | Num::U32 | Num::F32 => 4,
            Num::I64 | Num::U64 | Num::F64 => 8,
        }
    }

    pub fn is_signed(self) -> bool {
        matches!(self, Num::I8 | Num::I16 | Num::I32 | Num::I64)
    }

    /// The value of a signed integer.
    pub fn signed(self, bits: Bits) -> i64 {
        match self {
            Num::I8 => bits as i8 as i64,
            Num::I16 => bits as i16 as i64,
            Num::I32 => bits as i32 as i64,
            _ => bits as i64,
        }
    }

    pub fn is_float(self) -> bool {
        matches!(self, Num::F32 | Num::F64)
    }
}

/// A number as the host wrote it, before it has an element type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    Bool(bool),
    Int(i128),
    Float(f64),
}

/// The bits of a number of some element type, in the low bytes.
pub type Bits = u64;

impl Scalar {
    /// Its bits as an element of `num`; `None`: it is not such a number.
    pub fn bits(self, num: Num) -> Option<Bits> {
        let int = match self {
            Scalar::Bool(b) => Some(b as i128),
            Scalar::Int(n) => Some(n),
            Scalar::Float(_) => None,
        };
        let float = match self {
            Scalar::Float(x) => x,
            _ => int? as f64,
        };
        Some(match num {
            Num::F64 => float.to_bits(),
            Num::F32 => (float as f32).to_bits() as u64,
            Num::Bool => match self {
                Scalar::Bool(b) => b as u64,
                _ => return None,
            },
            Num::I8 => i8::try_from(int?).ok()? as u8 as u64,
            Num::I16 => i16::try_from(int?).ok()? as u16 as u64,
            Num::I32 => i32::try_from(int?).ok()? as u32 as u64,
            Num::I64 => i64::try_from(int?).ok()? as u64,
            Num::U8 => u8::try_from(int?).ok()? as u64,
            Num::U16 => u16::try_from(int?).ok()? as u64,
            Num::U32 => u32::try_from(int?).ok()? as u64,
            Num::U64 => u64::try_from(int?).ok()?,
        })
    }
}

/// A Rust type that is the memory of an element type. Bools are bytes of 0 and 1.
///
/// # Safety
/// Every bit pattern of [`Element::NUM`]'s size is a value.
pub unsafe trait Element: Copy + PartialOrd + Send + Sync + 'static {
    const NUM: Num;
    const ZERO: Self;
    fn from_bits(bits: Bits) -> Self;
    fn to_bits(self) -> Bits;
    fn to_f64(self) -> f64;
    /// Only floats have one.
    fn is_nan(self) -> bool;
}

macro_rules! elements {
    ($($type:ty, $num:ident, $bits:ty, |$x:ident| $nan:expr;)*) => { $(
        // SAFETY: a plain number.
        unsafe impl Element for $type {
            const NUM: Num = Num::$num;
            const ZERO: Self = 0 as $type;
            #[inline(always)]
            fn from_bits(bits: Bits) -> Self { <$type>::from_ne_bytes((bits as $bits).to_ne_bytes()) }
            #[inline(always)]
            fn to_bits(self) -> Bits { <$bits>::from_ne_bytes(self.to_ne_bytes()) as Bits }
            #[inline(always)]
            fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)]
            fn is_nan(self) -> bool { let $x = self; $nan }
        }
    )* };
}

elements! {
    i8, I8, u8, |_x| false;
    i16, I16, u16, |_x| false;
    i32, I32, u32, |_x| false;
    i64, I64, u64, |_x| false;
    u8, U8, u8, |_x| false;
    u16, U16, u16, |_x| false;
    u32, U32, u32, |_x| false;
    u64, U64, u64, |_x| false;
    f32, F32, u32, |x| f32::is_nan(x);
    f64, F64, u64, |x| f64::is_nan(x);
}

/// Runs `$body` with `$T` the Rust type of a [`Num`]; bools are `u8`.
macro_rules! with_element {
    ($num:expr, $T:ident => $body:expr) => {
        match $num {
            $crate::kernel::Num::Bool | $crate::kernel::Num::U8 => {
                type $T = u8;
                $body
            }
            $crate::kernel::Num::I8 => {
                type $T = i8;
                $body
            }
            $crate::kernel::Num::I16 => {
                type $T = i16;
                $body
            }
            $crate::kernel::Num::I32 => {
                type $T = i32;
                $body
            }
            $crate::kernel::Num::I64 => {
                type $T = i64;
                $body
            }
            $crate::kernel::Num::U16 => {
                type $T = u16;
                $body
            }
            $crate::kernel::Num::U32 => {
                type $T = u32;
                $body
            }
            $crate::kernel::Num::U64 => {
                type $T = u64;
                $body
            }
            $crate::kernel::Num::F32 => {
                type $T = f32;
                $body
            }
            $crate::kernel::Num::F64 => {
                type $T = f64;
                $body
            }
        }
    };
}
pub(crate) use with_element;
