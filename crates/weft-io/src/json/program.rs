//! Small functions of JSON objects, evaluated on their text.
//!
//! An [`Expr`] means what the same expression means in Python for the objects that `json.loads` would make; wherever that
//! is more than arithmetic on doubles and small integers or a comparison of like with like, evaluating it
//! gives `None`, and whoever asked has to make the objects and ask Python.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::cursor::{Cursor, Token, Unusual, unescape};

/// A value that is no list and no object.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Cow<'a, str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Add,
    Sub,
    Mul,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A field of the object: which of those a [`Record`] looks for.
    Field(usize),
    /// An item of an object that is a field.
    Item(Box<Expr>, Box<[u8]>),
    /// What a fold has come to.
    Total,
    Const(Scalar<'static>),
    Op(Op, Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
}

/// The fields of one object that some expressions need.
#[derive(Debug, Default)]
pub struct Record<'a> {
    values: Vec<Option<(Token, &'a str)>>,
}

impl<'a> Record<'a> {
    /// Finds the fields `wanted`, which have no escapes, in a line that is one object.
    pub fn scan(&mut self, line: &'a str, wanted: &[Box<[u8]>]) -> Result<(), Unusual> {
        self.values.clear();
        self.values.resize(wanted.len(), None);
        let mut cursor = Cursor::new(line);
        cursor.skip();
        cursor.expect(b'{')?;
        let mut more = true;
        while more {
            let Some(key) = cursor.key()? else { break };
            let start = cursor.at;
            let token = cursor.value()?;
            match wanted.iter().position(|wanted| **wanted == *key) {
                // The last one counts.
                Some(number) => self.values[number] = Some((token, &line[start..cursor.at])),
                // May be one of them, written otherwise.
                None if key.contains(&b'\\') => return Err(Unusual),
                None => {}
            }
            more = cursor.more()?;
        }
        cursor.skip();
        if cursor.at == line.len() { Ok(()) } else { Err(Unusual) }
    }

    fn text(&self, expr: &Expr) -> Option<(Token, &'a str)> {
        match expr {
            Expr::Field(number) => *self.values.get(*number)?,
            Expr::Item(inner, key) => {
                let (Token::Nested, text) = self.text(inner)? else { return None };
                let mut inside = Record::default();
                inside.scan(text, std::slice::from_ref(key)).ok()?;
                inside.values[0]
            }
            _ => None,
        }
    }

    /// What `expr` is for this object; `None`: ask Python.
    pub fn eval<'b>(&self, expr: &'b Expr, total: Option<&'b Scalar<'_>>) -> Option<Scalar<'b>>
    where
        'a: 'b,
    {
        match expr {
            Expr::Field(_) | Expr::Item(..) => {
                let (token, text) = self.text(expr)?;
                scalar(token, text)
            }
            Expr::Total => total.map(|total| match total {
                Scalar::Str(text) => Scalar::Str(Cow::Borrowed(text)),
                Scalar::Null => Scalar::Null,
                Scalar::Bool(value) => Scalar::Bool(*value),
                Scalar::Int(value) => Scalar::Int(*value),
                Scalar::Float(value) => Scalar::Float(*value),
            }),
            Expr::Const(value) => Some(value.clone()),
            Expr::Op(op, left, right) => apply(*op, self.eval(left, total)?, self.eval(right, total)?),
            Expr::Not(inner) => self.truth(inner).map(|truth| Scalar::Bool(!truth)),
        }
    }

    /// Whether `expr` holds, as Python's `bool` says; `None`: ask Python.
    pub fn truth(&self, expr: &Expr) -> Option<bool> {
        Some(match self.eval(expr, None)? {
            Scalar::Null => false,
            Scalar::Bool(value) => value,
            Scalar::Int(value) => value != 0,
            Scalar::Float(value) => value != 0.0,
            Scalar::Str(text) => !text.is_empty(),
        })
    }
}

fn scalar(token: Token, text: &str) -> Option<Scalar<'_>> {
    Some(match token {
        Token::Null => Scalar::Null,
        Token::True => Scalar::Bool(true),
        Token::False => Scalar::Bool(false),
        // Larger ones may be no `i64`.
        Token::Int if text.len() > 18 => return None,
        Token::Int => Scalar::Int(text.parse().ok()?),
        Token::Float => Scalar::Float(text.parse().ok()?),
        Token::Str => {
            let inside = &text[1..text.len() - 1];
            if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
                return Some(Scalar::Str(Cow::Borrowed(inside)));
            }
            let mut bytes = Vec::new();
            unescape(inside.as_bytes(), &mut bytes).ok()?;
            Scalar::Str(Cow::Owned(String::from_utf8(bytes).ok()?))
        }
        Token::Nested => return None,
    })
}

/// Integers up to here are doubles too.
const EXACT: i64 = 1 << 53;

fn apply<'a>(op: Op, left: Scalar<'a>, right: Scalar<'a>) -> Option<Scalar<'a>> {
    use Scalar::{Bool, Float, Int, Null, Str};
    let ordering = match (op, &left, &right) {
        (Op::Add | Op::Sub | Op::Mul, Int(a), Int(b)) => {
            return match op {
                Op::Add => a.checked_add(*b),
                Op::Sub => a.checked_sub(*b),
                _ => a.checked_mul(*b),
            }
            .map(Int);
        }
        (Op::Add | Op::Sub | Op::Mul, ..) => {
            let (a, b) = (double(&left)?, double(&right)?);
            return Some(Float(match op {
                Op::Add => a + b,
                Op::Sub => a - b,
                _ => a * b,
            }));
        }
        (_, Int(a), Int(b)) => Some(a.cmp(b)),
        (_, Str(a), Str(b)) => Some(a.cmp(b)),
        (_, Int(a), Float(b)) if a.abs() <= EXACT => (*a as f64).partial_cmp(b),
        (_, Float(a), Int(b)) if b.abs() <= EXACT => a.partial_cmp(&(*b as f64)),
        (_, Float(a), Float(b)) => a.partial_cmp(b),
        (Op::Eq | Op::Ne, Bool(a), Bool(b)) => Some(a.cmp(b)),
        (Op::Eq | Op::Ne, Null, Null) => Some(Ordering::Equal),
        _ => return None,
    };
    Some(Bool(match op {
        Op::Eq => ordering == Some(Ordering::Equal),
        Op::Ne => ordering != Some(Ordering::Equal),
        Op::Lt => ordering == Some(Ordering::Less),
        Op::Le => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        Op::Gt => ordering == Some(Ordering::Greater),
        _ => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
    }))
}

fn double(value: &Scalar<'_>) -> Option<f64> {
    match value {
        Scalar::Int(value) => Some(*value as f64),
        Scalar::Float(value) => Some(*value),
        _ => None,
    }
}

impl Scalar<'_> {
    pub fn into_owned(self) -> Scalar<'static> {
        match self {
            Scalar::Str(text) => Scalar::Str(Cow::Owned(text.into_owned())),
            Scalar::Null => Scalar::Null,
            Scalar::Bool(value) => Scalar::Bool(value),
            Scalar::Int(value) => Scalar::Int(value),
            Scalar::Float(value) => Scalar::Float(value),
        }
    }
}
