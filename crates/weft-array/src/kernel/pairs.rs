//! Two instructions of float arithmetic in one loop.
//!
//! An instruction of arithmetic costs less than reading its operands from a register of the interpreter and
//! writing its result to one. Two in one loop save a write and a read; rounding is the same.

use super::ops::{Arg, Raw, slice};
use super::{Bits, Element, Instr, Num, Slot, Ufunc};

/// What is done with the result of an instruction before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Then {
    pub(super) op: Second,
    pub other: Slot,
    /// A constant that the result is divided by at last: dividing takes so long that the rest of the loop comes
    /// for nothing.
    pub(super) over: Option<Bits>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Second {
    Add,
    Subtract,
    /// `other - result`.
    Less,
    Multiply,
    Divide,
    /// `other / result`.
    Under,
    Square,
}

/// `first` and then `second`, which reads the value `v` that `first` makes; `None`: they stay two.
pub(super) fn pair(first: &Instr, second: &Instr, v: u16) -> Option<Instr> {
    use Ufunc::{Add, Divide, Multiply, Square, Subtract};
    let value = Slot::Value(v);
    if !is_wide() {
        return None;
    }
    let simple = |op| matches!(op, Add | Subtract | Multiply | Divide | Square);
    if !first.num.is_float() || first.num != second.num || second.then.is_some() {
        return None;
    }
    if let Some(then) = first.then {
        return match (second.op, second.args) {
            (Divide, [_, Slot::Const(bits), _]) if then.over.is_none() => {
                Some(Instr { then: Some(Then { over: Some(bits), ..then }), ..*first })
            }
            _ => None,
        };
    }
    if !simple(first.op) || !simple(second.op) {
        return None;
    }
    let [a, b, _] = second.args;
    let (op, other) = match (second.op, a == value, b == value) {
        (Square, true, _) => (Second::Square, Slot::Const(0)),
        (_, true, true) => return None,
        (Add, true, _) => (Second::Add, b),
        (Add, _, true) => (Second::Add, a),
        (Multiply, true, _) => (Second::Multiply, b),
        (Multiply, _, true) => (Second::Multiply, a),
        (Subtract, true, _) => (Second::Subtract, b),
        (Subtract, _, true) => (Second::Less, a),
        (Divide, true, _) => (Second::Divide, b),
        (Divide, _, true) => (Second::Under, a),
        _ => return None,
    };
    // The first operand is one that has many elements.
    let args = match (first.op, first.args) {
        (Add | Multiply, [Slot::Const(_), _, none]) => [first.args[1], first.args[0], none],
        (_, [Slot::Const(_), ..]) => return None,
        (_, args) => args,
    };
    Some(Instr { args, then: Some(Then { op, other, over: None }), ..*first })
}

/// Whether there are loops for this processor; others run one instruction after the other.
fn is_wide() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// # Safety
/// That of [`super::ops::run`]; `other` is `then.other`'s operand.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
pub(super) unsafe fn run(instr: &Instr, then: &Then, args: [Raw; 2], other: Raw, out: *mut u8, n: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        match instr.num {
            Num::F64 => {
                let over = then.over.map(f64::from_bits);
                first(instr.op, then.op, args[0].arg(n), args[1].arg(n), other.arg(n), over, slice(out, n));
            }
            _ => {
                let over = then.over.map(|bits| f32::from_bits(bits as u32));
                first(instr.op, then.op, args[0].arg(n), args[1].arg(n), other.arg(n), over, slice(out, n));
            }
        }
    }
}

trait Float:
    Element
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
{
}
impl Float for f32 {}
impl Float for f64 {}

#[inline(always)]
fn first<T: Float>(op: Ufunc, then: Second, a: Arg<T>, b: Arg<T>, c: Arg<T>, over: Option<T>, out: &mut [T]) {
    match op {
        Ufunc::Add => second(then, a, b, c, over, out, |a, b| a + b),
        Ufunc::Subtract => second(then, a, b, c, over, out, |a, b| a - b),
        Ufunc::Multiply => second(then, a, b, c, over, out, |a, b| a * b),
        Ufunc::Divide => second(then, a, b, c, over, out, |a, b| a / b),
        // A square.
        _ => second(then, a, Arg::One(T::ZERO), c, over, out, |a, _| a * a),
    }
}

#[inline(always)]
fn second<T: Float>(
    then: Second,
    a: Arg<T>,
    b: Arg<T>,
    c: Arg<T>,
    over: Option<T>,
    out: &mut [T],
    f: impl Fn(T, T) -> T,
) {
    match then {
        Second::Add => third(a, b, c, over, out, |a, b, c| f(a, b) + c),
        Second::Subtract => third(a, b, c, over, out, |a, b, c| f(a, b) - c),
        Second::Less => third(a, b, c, over, out, |a, b, c| c - f(a, b)),
        Second::Multiply => third(a, b, c, over, out, |a, b, c| f(a, b) * c),
        Second::Divide => third(a, b, c, over, out, |a, b, c| f(a, b) / c),
        Second::Under => third(a, b, c, over, out, |a, b, c| c / f(a, b)),
        Second::Square => third(a, b, Arg::One(T::ZERO), over, out, |a, b, _| f(a, b) * f(a, b)),
    }
}

#[inline(always)]
fn third<T: Float>(
    a: Arg<T>,
    b: Arg<T>,
    c: Arg<T>,
    over: Option<T>,
    out: &mut [T],
    f: impl Fn(T, T, T) -> T,
) {
    match over {
        None => map3(a, b, c, out, f),
        Some(over) => map3(a, b, c, out, |a, b, c| f(a, b, c) / over),
    }
}

#[inline(always)]
fn map3<T: Copy>(a: Arg<T>, b: Arg<T>, c: Arg<T>, out: &mut [T], f: impl Fn(T, T, T) -> T) {
    // `pair` makes none whose first operand is one number.
    let Arg::Many(a) = a else { return };
    let each = out.iter_mut().zip(a);
    match (b, c) {
        (Arg::Many(b), Arg::Many(c)) => {
            each.zip(b).zip(c).for_each(|(((out, &a), &b), &c)| *out = f(a, b, c));
        }
        (Arg::Many(b), Arg::One(c)) => each.zip(b).for_each(|((out, &a), &b)| *out = f(a, b, c)),
        (Arg::One(b), Arg::Many(c)) => each.zip(c).for_each(|((out, &a), &c)| *out = f(a, b, c)),
        (Arg::One(b), Arg::One(c)) => each.for_each(|(out, &a)| *out = f(a, b, c)),
    }
}
