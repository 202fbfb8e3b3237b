//! Instructions over registers: one loop for each function, element type and kind of operands.
//!
//! The loops are written once and compiled twice, with and without AVX2: [`run`] picks. What may be
//! inlined into both is marked so.

use super::number::with_element;
use super::{Bits, Element, Instr, Num, Slot, Ufunc};

/// An operand of a loop.
#[derive(Clone, Copy)]
pub(super) enum Arg<'a, T> {
    Many(&'a [T]),
    One(T),
}

/// An operand of an instruction, before its type is known.
#[derive(Clone, Copy)]
pub enum Raw {
    Ptr(*const u8),
    Bits(u64),
}

impl Raw {
    /// # Safety
    /// A pointer must be valid for reading `n` elements of `T`.
    #[inline(always)]
    pub(super) unsafe fn arg<'a, T: Element>(self, n: usize) -> Arg<'a, T> {
        match self {
            // SAFETY: as the caller promises.
            Raw::Ptr(ptr) => Arg::Many(unsafe { std::slice::from_raw_parts(ptr.cast::<T>(), n) }),
            Raw::Bits(bits) => Arg::One(T::from_bits(bits)),
        }
    }
}

#[inline(always)]
fn map1<T: Copy, O: Copy>(a: Arg<T>, out: &mut [O], f: impl Fn(T) -> O) {
    match a {
        Arg::Many(a) => out.iter_mut().zip(a).for_each(|(out, &a)| *out = f(a)),
        Arg::One(a) => out.fill(f(a)),
    }
}

#[inline(always)]
fn map2<T: Copy, O: Copy>(a: Arg<T>, b: Arg<T>, out: &mut [O], f: impl Fn(T, T) -> O) {
    match (a, b) {
        (Arg::Many(a), Arg::Many(b)) => {
            out.iter_mut().zip(a).zip(b).for_each(|((out, &a), &b)| *out = f(a, b));
        }
        (Arg::Many(a), Arg::One(b)) => out.iter_mut().zip(a).for_each(|(out, &a)| *out = f(a, b)),
        (Arg::One(a), Arg::Many(b)) => out.iter_mut().zip(b).for_each(|(out, &b)| *out = f(a, b)),
        (Arg::One(a), Arg::One(b)) => out.fill(f(a, b)),
    }
}

impl<T: Copy> Arg<'_, T> {
    #[inline(always)]
    fn at(&self, i: usize) -> T {
        match self {
            Arg::Many(all) => all[i],
            Arg::One(one) => *one,
        }
    }
}

/// The result of an instruction whose operands are all constants; `None`: some are not.
pub fn fold(instr: &Instr) -> Option<Bits> {
    if instr.then.is_some() {
        return None;
    }
    let mut args = [Raw::Bits(0); 3];
    for (raw, slot) in args.iter_mut().zip(instr.args) {
        *raw = Raw::Bits(match slot {
            Slot::Const(bits) => bits,
            _ => return None,
        });
    }
    let mut out = 0u64;
    // SAFETY: one element of any type fits; constants are read from nowhere.
    unsafe { run(instr, args, Raw::Bits(0), std::ptr::from_mut(&mut out).cast(), 1) };
    Some(u64::from_le_bytes(out.to_ne_bytes()))
}

/// Runs one instruction over `n` elements.
///
/// # Safety
/// Pointers in `args` and `other` (the operand of what comes right after) are valid for reading, and `out` for writing, `n` aligned elements of the
/// instruction's types; `out` overlaps none of them.
pub unsafe fn run(instr: &Instr, args: [Raw; 3], other: Raw, out: *mut u8, n: usize) {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2; the rest is the caller's promise.
        return unsafe { wide(instr, args, other, out, n) };
    }
    // SAFETY: as the caller promises.
    unsafe { body(instr, args, other, out, n) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn wide(instr: &Instr, args: [Raw; 3], other: Raw, out: *mut u8, n: usize) {
    // SAFETY: as the caller promises.
    unsafe { body(instr, args, other, out, n) }
}

#[inline(always)]
unsafe fn body(instr: &Instr, args: [Raw; 3], other: Raw, out: *mut u8, n: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        if let Some(then) = &instr.then {
            return super::pairs::run(instr, then, [args[0], args[1]], other, out, n);
        }
        match instr.op {
            Ufunc::Cast => cast(instr, args[0], out, n),
            Ufunc::Where => with_element!(instr.num, T => pick::<T>(args, out, n)),
            Ufunc::Clip => with_element!(instr.num, T => clip::<T>(args, out, n)),
            _ => match instr.num {
                Num::Bool => boolean(instr.op, args, out, n),
                Num::I8 => i8::apply(instr.op, args, out, n),
                Num::I16 => i16::apply(instr.op, args, out, n),
                Num::I32 => i32::apply(instr.op, args, out, n),
                Num::I64 => i64::apply(instr.op, args, out, n),
                Num::U8 => u8::apply(instr.op, args, out, n),
                Num::U16 => u16::apply(instr.op, args, out, n),
                Num::U32 => u32::apply(instr.op, args, out, n),
                Num::U64 => u64::apply(instr.op, args, out, n),
                Num::F32 => f32::apply(instr.op, args, out, n),
                Num::F64 => f64::apply(instr.op, args, out, n),
            },
        }
    }
}

#[inline(always)]
pub(super) unsafe fn slice<'a, T>(out: *mut u8, n: usize) -> &'a mut [T] {
    // SAFETY: as the caller of `run` promises.
    unsafe { std::slice::from_raw_parts_mut(out.cast::<T>(), n) }
}

#[inline(always)]
unsafe fn pick<T: Element>(args: [Raw; 3], out: *mut u8, n: usize) {
    // SAFETY: as the caller of `run` promises.
    let (c, a, b, out) =
        unsafe { (args[0].arg::<u8>(n), args[1].arg::<T>(n), args[2].arg::<T>(n), slice::<T>(out, n)) };
    for (i, out) in out.iter_mut().enumerate() {
        let (a, b) = (a.at(i), b.at(i));
        *out = if c.at(i) != 0 { a } else { b };
    }
}

#[inline(always)]
unsafe fn clip<T: Element>(args: [Raw; 3], out: *mut u8, n: usize) {
    // SAFETY: as the caller of `run` promises.
    let (x, low, high, out) =
        unsafe { (args[0].arg::<T>(n), args[1].arg::<T>(n), args[2].arg::<T>(n), slice::<T>(out, n)) };
    for (i, out) in out.iter_mut().enumerate() {
        *out = least(most(x.at(i), low.at(i)), high.at(i));
    }
}

/// The greater; NaN if one is.
#[inline(always)]
pub fn most<T: Element>(a: T, b: T) -> T {
    // `|` looks at both, which needs no branch.
    if (a >= b) | a.is_nan() { a } else { b }
}

/// The smaller; NaN if one is.
#[inline(always)]
pub fn least<T: Element>(a: T, b: T) -> T {
    if (a <= b) | a.is_nan() { a } else { b }
}

/// Conversion as C does it; floats that do not fit give what x86 gives.
trait To<U> {
    fn to(self) -> U;
}

macro_rules! casts {
    ($($from:ty => $($to:ty)*;)*) => { $($(
        impl To<$to> for $from {
            #[inline(always)]
            fn to(self) -> $to { self as $to }
        }
    )*)* };
}
casts! {
    i8 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64; i16 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64;
    i32 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64; i64 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64;
    u8 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64; u16 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64;
    u32 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64; u64 => i8 i16 i32 i64 u8 u16 u32 u64 f32 f64;
    f32 => f32 f64; f64 => f32 f64;
}
macro_rules! truncations {
    ($($from:ty)*) => { $(
        impl To<i64> for $from {
            #[inline(always)]
            fn to(self) -> i64 {
                if (-9223372036854775808.0..9223372036854775808.0).contains(&self) { self as i64 } else { i64::MIN }
            }
        }
        impl To<i32> for $from {
            #[inline(always)]
            fn to(self) -> i32 {
                if self > -2147483649.0 && self < 2147483648.0 { self as i32 } else { i32::MIN }
            }
        }
        impl To<u64> for $from {
            #[inline(always)]
            fn to(self) -> u64 {
                if self >= 9223372036854775808.0 { (To::<i64>::to(self - 9223372036854775808.0) as u64) ^ (1 << 63) }
                else { To::<i64>::to(self) as u64 }
            }
        }
        impl To<u32> for $from { #[inline(always)] fn to(self) -> u32 { To::<i64>::to(self) as u32 } }
        impl To<i16> for $from { #[inline(always)] fn to(self) -> i16 { To::<i32>::to(self) as i16 } }
        impl To<u16> for $from { #[inline(always)] fn to(self) -> u16 { To::<i32>::to(self) as u16 } }
        impl To<i8> for $from { #[inline(always)] fn to(self) -> i8 { To::<i32>::to(self) as i8 } }
        impl To<u8> for $from { #[inline(always)] fn to(self) -> u8 { To::<i32>::to(self) as u8 } }
    )* };
}
truncations! { f32 f64 }

#[inline(always)]
unsafe fn cast(instr: &Instr, arg: Raw, out: *mut u8, n: usize) {
    // SAFETY: as the caller of `run` promises.
    unsafe {
        with_element!(instr.num, T => {
            let a = arg.arg::<T>(n);
            if instr.to == Num::Bool {
                return map1(a, slice::<u8>(out, n), |a| (a != T::ZERO) as u8);
            }
            with_element!(instr.to, U => map1(a, slice::<U>(out, n), To::<U>::to))
        })
    }
}

trait Apply: Element {
    /// # Safety
    /// That of [`run`].
    unsafe fn apply(op: Ufunc, args: [Raw; 3], out: *mut u8, n: usize);
}

/// The functions that all numbers have, then `$more` for the rest.
macro_rules! common {
    ($op:expr, $T:ty, $a:expr, $b:expr, $out:expr, $n:expr, $more:expr) => {{
        let (a, b) = ($a, $b);
        match $op {
            Ufunc::Equal => map2(a, b, slice::<u8>($out, $n), |a, b| (a == b) as u8),
            Ufunc::NotEqual => map2(a, b, slice::<u8>($out, $n), |a, b| (a != b) as u8),
            Ufunc::Less => map2(a, b, slice::<u8>($out, $n), |a, b| (a < b) as u8),
            Ufunc::LessEqual => map2(a, b, slice::<u8>($out, $n), |a, b| (a <= b) as u8),
            Ufunc::Greater => map2(a, b, slice::<u8>($out, $n), |a, b| (a > b) as u8),
            Ufunc::GreaterEqual => map2(a, b, slice::<u8>($out, $n), |a, b| (a >= b) as u8),
            Ufunc::LogicalAnd => {
                map2(a, b, slice::<u8>($out, $n), |a, b| (a != <$T>::ZERO && b != <$T>::ZERO) as u8)
            }
            Ufunc::LogicalOr => {
                map2(a, b, slice::<u8>($out, $n), |a, b| (a != <$T>::ZERO || b != <$T>::ZERO) as u8)
            }
            Ufunc::LogicalXor => {
                map2(a, b, slice::<u8>($out, $n), |a, b| ((a != <$T>::ZERO) ^ (b != <$T>::ZERO)) as u8)
            }
            Ufunc::LogicalNot => map1(a, slice::<u8>($out, $n), |a| (a == <$T>::ZERO) as u8),
            Ufunc::Minimum => map2(a, b, slice::<$T>($out, $n), least),
            Ufunc::Maximum => map2(a, b, slice::<$T>($out, $n), most),
            Ufunc::Fmin => {
                map2(a, b, slice::<$T>($out, $n), |a, b| if (a <= b) | b.is_nan() { a } else { b })
            }
            Ufunc::Fmax => {
                map2(a, b, slice::<$T>($out, $n), |a, b| if (a >= b) | b.is_nan() { a } else { b })
            }
            Ufunc::IsNan => map1(a, slice::<u8>($out, $n), |a| a.is_nan() as u8),
            Ufunc::Positive => map1(a, slice::<$T>($out, $n), |a| a),
            _ => $more,
        }
    }};
}

/// What integers do that differs between signed and unsigned ones.
trait Integer: Element {
    fn absolute(self) -> Self;
    fn sign(self) -> Self;
    fn negative(self) -> u8;
    /// Rounded down; division by zero gives zero, and so do its remainders.
    fn floor_divide(self, by: Self) -> Self;
    /// Of the sign of the divisor.
    fn modulo(self, by: Self) -> Self;
    /// Of the sign of the dividend.
    fn rest(self, by: Self) -> Self;
    /// Wrapping; the exponent is not negative.
    fn power(self, exponent: Self) -> Self;
    /// Shifts by more than there are bits shift all out.
    fn left(self, by: Self) -> Self;
    fn right(self, by: Self) -> Self;
    fn gcd(self, other: Self) -> Self;
    fn lcm(self, other: Self) -> Self;
}

macro_rules! integers {
    ($($T:ident $U:ident;)*) => { $(
        #[allow(unused_comparisons, reason = "unsigned numbers are never negative")]
        impl Integer for $T {
            #[inline(always)]
            fn absolute(self) -> $T { if self < 0 { self.wrapping_neg() } else { self } }
            #[inline(always)]
            fn sign(self) -> $T { if self > 0 { 1 } else if self < 0 { (0 as $T).wrapping_sub(1) } else { 0 } }
            #[inline(always)]
            fn negative(self) -> u8 { (self < 0) as u8 }
            #[inline(always)]
            fn floor_divide(self, by: $T) -> $T {
                if by == 0 {
                    return 0;
                }
                let (quotient, rest) = (self.wrapping_div(by), self.wrapping_rem(by));
                if rest != 0 && (rest < 0) != (by < 0) { quotient.wrapping_sub(1) } else { quotient }
            }
            #[inline(always)]
            fn modulo(self, by: $T) -> $T {
                let rest = self.rest(by);
                if rest != 0 && (rest < 0) != (by < 0) { rest.wrapping_add(by) } else { rest }
            }
            #[inline(always)]
            fn rest(self, by: $T) -> $T { if by == 0 { 0 } else { self.wrapping_rem(by) } }
            #[inline(always)]
            fn power(self, exponent: $T) -> $T {
                let (mut all, mut square, mut left) = (1 as $T, self, exponent as $U);
                while left > 0 {
                    if left % 2 == 1 {
                        all = all.wrapping_mul(square);
                    }
                    square = square.wrapping_mul(square);
                    left /= 2;
                }
                all
            }
            #[inline(always)]
            fn left(self, by: $T) -> $T {
                if (by as $U as u64) < $T::BITS as u64 { self << by } else { 0 }
            }
            #[inline(always)]
            fn right(self, by: $T) -> $T {
                if (by as $U as u64) < $T::BITS as u64 {
                    self >> by
                } else if self < 0 {
                    (0 as $T).wrapping_sub(1)
                } else {
                    0
                }
            }
            #[inline(always)]
            fn gcd(self, other: $T) -> $T {
                let (mut a, mut b) = (self.absolute() as $U, other.absolute() as $U);
                while b != 0 {
                    (a, b) = (b, a % b);
                }
                a as $T
            }
            #[inline(always)]
            fn lcm(self, other: $T) -> $T {
                let gcd = self.gcd(other) as $U;
                if gcd == 0 { 0 } else { (self.absolute() as $U / gcd).wrapping_mul(other.absolute() as $U) as $T }
            }
        }

        impl Apply for $T {
            #[inline(always)]
            unsafe fn apply(op: Ufunc, args: [Raw; 3], out: *mut u8, n: usize) {
                // SAFETY: as the caller promises.
                unsafe {
                    let (a, b) = (args[0].arg::<$T>(n), args[1].arg::<$T>(n));
                    common!(op, $T, a, b, out, n, match op {
                        Ufunc::IsInf => return slice::<u8>(out, n).fill(0),
                        Ufunc::IsFinite => return slice::<u8>(out, n).fill(1),
                        Ufunc::Signbit => return map1(a, slice::<u8>(out, n), Integer::negative),
                        Ufunc::BitwiseCount => {
                            return map1(a, slice::<u8>(out, n), |a| a.absolute().count_ones() as u8);
                        }
                        _ => {
                            let out = slice::<$T>(out, n);
                            match op {
                                Ufunc::Add => map2(a, b, out, <$T>::wrapping_add),
                                Ufunc::Subtract => map2(a, b, out, <$T>::wrapping_sub),
                                Ufunc::Multiply => map2(a, b, out, <$T>::wrapping_mul),
                                Ufunc::FloorDivide => map2(a, b, out, Integer::floor_divide),
                                Ufunc::Remainder => map2(a, b, out, Integer::modulo),
                                Ufunc::Fmod => map2(a, b, out, Integer::rest),
                                Ufunc::Power => map2(a, b, out, Integer::power),
                                Ufunc::Gcd => map2(a, b, out, Integer::gcd),
                                Ufunc::Lcm => map2(a, b, out, Integer::lcm),
                                Ufunc::LeftShift => map2(a, b, out, Integer::left),
                                Ufunc::RightShift => map2(a, b, out, Integer::right),
                                Ufunc::BitwiseAnd => map2(a, b, out, |a, b| a & b),
                                Ufunc::BitwiseOr => map2(a, b, out, |a, b| a | b),
                                Ufunc::BitwiseXor => map2(a, b, out, |a, b| a ^ b),
                                Ufunc::Invert => map1(a, out, |a| !a),
                                Ufunc::Negative => map1(a, out, <$T>::wrapping_neg),
                                Ufunc::Absolute => map1(a, out, Integer::absolute),
                                Ufunc::Sign => map1(a, out, Integer::sign),
                                Ufunc::Square => map1(a, out, |a| a.wrapping_mul(a)),
                                Ufunc::Floor | Ufunc::Ceil | Ufunc::Trunc => map1(a, out, |a| a),
                                _ => unreachable!("{op:?} has no loop for integers, as Ufunc::result says"),
                            }
                        }
                    })
                }
            }
        }
    )* };
}
integers! {
    i8 u8; i16 u16; i32 u32; i64 u64;
    u8 u8; u16 u16; u32 u32; u64 u64;
}

/// Of the system's mathematics, which Rust has in less exact forms only.
mod system {
    unsafe extern "C" {
        pub(super) safe fn asinh(x: f64) -> f64;
        pub(super) safe fn acosh(x: f64) -> f64;
        pub(super) safe fn atanh(x: f64) -> f64;
        pub(super) safe fn asinhf(x: f32) -> f32;
        pub(super) safe fn acoshf(x: f32) -> f32;
        pub(super) safe fn atanhf(x: f32) -> f32;
    }
}

macro_rules! apply_float {
    ($($T:ident, $floordiv:ident, $modulo:ident, $next:ident, $asinh:ident, $acosh:ident, $atanh:ident;)*) => { $(
        /// The number after `a` on the way to `b`.
        #[inline(always)]
        fn $next(a: $T, b: $T) -> $T {
            if a.is_nan() || b.is_nan() {
                a + b
            } else if a == b {
                b
            } else if a == 0.0 {
                <$T>::from_bits(1).copysign(b)
            } else if (b > a) == (a > 0.0) {
                <$T>::from_bits(a.to_bits() + 1)
            } else {
                <$T>::from_bits(a.to_bits() - 1)
            }
        }

        /// Python's: rounded down, with the signs of zeros that NumPy gives.
        #[inline(always)]
        fn $floordiv(a: $T, b: $T) -> $T {
            if b == 0.0 {
                return a / b;
            }
            let mut rest = a % b;
            let mut quotient = (a - rest) / b;
            if rest != 0.0 && (b < 0.0) != (rest < 0.0) {
                rest += b;
                quotient -= 1.0;
            }
            let _ = rest;
            if quotient == 0.0 {
                return (0.0 as $T).copysign(a / b);
            }
            let floor = quotient.floor();
            if quotient - floor > 0.5 { floor + 1.0 } else { floor }
        }

        /// Python's: of the sign of the divisor.
        #[inline(always)]
        fn $modulo(a: $T, b: $T) -> $T {
            let rest = a % b;
            if b == 0.0 {
                rest
            } else if rest == 0.0 {
                (0.0 as $T).copysign(b)
            } else if (b < 0.0) != (rest < 0.0) {
                rest + b
            } else {
                rest
            }
        }

        impl Apply for $T {
            #[inline(always)]
            unsafe fn apply(op: Ufunc, args: [Raw; 3], out: *mut u8, n: usize) {
                // SAFETY: as the caller promises.
                unsafe {
                    let (a, b) = (args[0].arg::<$T>(n), args[1].arg::<$T>(n));
                    common!(op, $T, a, b, out, n, {
                        match op {
                            Ufunc::IsInf => return map1(a, slice::<u8>(out, n), |a| a.is_infinite() as u8),
                            Ufunc::IsFinite => return map1(a, slice::<u8>(out, n), |a| a.is_finite() as u8),
                            Ufunc::Signbit => return map1(a, slice::<u8>(out, n), |a| a.is_sign_negative() as u8),
                            _ => {}
                        }
                        let out = slice::<$T>(out, n);
                        match op {
                            Ufunc::Add => map2(a, b, out, |a, b| a + b),
                            Ufunc::Subtract => map2(a, b, out, |a, b| a - b),
                            Ufunc::Multiply => map2(a, b, out, |a, b| a * b),
                            Ufunc::Divide => map2(a, b, out, |a, b| a / b),
                            Ufunc::FloorDivide => map2(a, b, out, $floordiv),
                            Ufunc::Remainder => map2(a, b, out, $modulo),
                            Ufunc::Fmod => map2(a, b, out, |a, b| a % b),
                            Ufunc::Power => map2(a, b, out, $T::powf),
                            Ufunc::Logaddexp => map2(a, b, out, |a, b| {
                                // Equal infinities have no difference.
                                if a == b { return a + std::$T::consts::LN_2; }
                                let d = a - b;
                                if d > 0.0 { a + (-d).exp().ln_1p() } else if d <= 0.0 { b + d.exp().ln_1p() } else { d }
                            }),
                            Ufunc::Logaddexp2 => map2(a, b, out, |a, b| {
                                if a == b { return a + 1.0; }
                                let d = a - b;
                                let log = |x: $T| x.ln_1p() * std::$T::consts::LOG2_E;
                                if d > 0.0 { a + log((-d).exp2()) } else if d <= 0.0 { b + log(d.exp2()) } else { d }
                            }),
                            Ufunc::Heaviside => map2(a, b, out, |a, b| {
                                if a.is_nan() { a } else if a == 0.0 { b } else if a < 0.0 { 0.0 } else { 1.0 }
                            }),
                            Ufunc::Nextafter => map2(a, b, out, $next),
                            Ufunc::Spacing => map1(a, out, |a| {
                                if a.is_infinite() {
                                    <$T>::NAN
                                } else if a == 0.0 {
                                    <$T>::from_bits(1)
                                } else {
                                    $next(a, <$T>::INFINITY.copysign(a)) - a
                                }
                            }),
                            Ufunc::Arctan2 => map2(a, b, out, $T::atan2),
                            Ufunc::Hypot => map2(a, b, out, $T::hypot),
                            Ufunc::Copysign => map2(a, b, out, $T::copysign),
                            Ufunc::Negative => map1(a, out, |a| -a),
                            Ufunc::Absolute | Ufunc::Fabs => map1(a, out, $T::abs),
                            Ufunc::Sign => map1(a, out, |a| {
                                if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else if a == 0.0 { 0.0 } else { a }
                            }),
                            Ufunc::Square => map1(a, out, |a| a * a),
                            Ufunc::Reciprocal => map1(a, out, |a| 1.0 / a),
                            Ufunc::Sqrt => map1(a, out, $T::sqrt),
                            Ufunc::Cbrt => map1(a, out, $T::cbrt),
                            Ufunc::Exp => map1(a, out, $T::exp),
                            Ufunc::Exp2 => map1(a, out, $T::exp2),
                            Ufunc::Expm1 => map1(a, out, $T::exp_m1),
                            Ufunc::Log => map1(a, out, $T::ln),
                            Ufunc::Log2 => map1(a, out, $T::log2),
                            Ufunc::Log10 => map1(a, out, $T::log10),
                            Ufunc::Log1p => map1(a, out, $T::ln_1p),
                            Ufunc::Sin => map1(a, out, $T::sin),
                            Ufunc::Cos => map1(a, out, $T::cos),
                            Ufunc::Tan => map1(a, out, $T::tan),
                            Ufunc::Arcsin => map1(a, out, $T::asin),
                            Ufunc::Arccos => map1(a, out, $T::acos),
                            Ufunc::Arctan => map1(a, out, $T::atan),
                            Ufunc::Sinh => map1(a, out, $T::sinh),
                            Ufunc::Cosh => map1(a, out, $T::cosh),
                            Ufunc::Tanh => map1(a, out, $T::tanh),
                            Ufunc::Arcsinh => map1(a, out, |a| system::$asinh(a)),
                            Ufunc::Arccosh => map1(a, out, |a| system::$acosh(a)),
                            Ufunc::Arctanh => map1(a, out, |a| system::$atanh(a)),
                            Ufunc::Floor => map1(a, out, $T::floor),
                            Ufunc::Ceil => map1(a, out, $T::ceil),
                            Ufunc::Trunc => map1(a, out, $T::trunc),
                            Ufunc::Rint => map1(a, out, $T::round_ties_even),
                            Ufunc::Degrees => map1(a, out, |a| a * (180.0 / std::$T::consts::PI)),
                            Ufunc::Radians => map1(a, out, |a| a * (std::$T::consts::PI / 180.0)),
                            _ => unreachable!("{op:?} has no loop for floats, as Ufunc::result says"),
                        }
                    })
                }
            }
        }
    )* };
}
apply_float! {
    f32, floordiv32, modulo32, next32, asinhf, acoshf, atanhf;
    f64, floordiv64, modulo64, next64, asinh, acosh, atanh;
}

#[inline(always)]
unsafe fn boolean(op: Ufunc, args: [Raw; 3], out: *mut u8, n: usize) {
    // SAFETY: as the caller of `run` promises.
    unsafe {
        let (a, b) = (args[0].arg::<u8>(n), args[1].arg::<u8>(n));
        match op {
            Ufunc::Add | Ufunc::BitwiseOr => map2(a, b, slice::<u8>(out, n), |a, b| a | b),
            Ufunc::Multiply | Ufunc::BitwiseAnd => map2(a, b, slice::<u8>(out, n), |a, b| a & b),
            Ufunc::BitwiseXor => map2(a, b, slice::<u8>(out, n), |a, b| a ^ b),
            Ufunc::Invert => map1(a, slice::<u8>(out, n), |a| a ^ 1),
            other => u8::apply(other, args, out, n),
        }
    }
}
