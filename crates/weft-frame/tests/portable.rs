//! Expressions survive the way through bytes, whatever they are made of.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow_array::{Float64Array, Int64Array, LargeStringArray};
use weft_data::{Column, DType, Frame, Index, Kind, LayerRef, WorkRef};
use weft_frame::portable::{self, HostReader, HostWriter, PortableError};
use weft_frame::{
    Agg, BinaryOp, By, Expr, Field, Func, How, JoinColumn, JoinSpec, KeyRef, Literal, Lowered, MemorySource,
    Scalar, Side, SortBy, Tasks, fingerprint, lower,
};
use weft_graph::Key;
use weft_io::ByteSource;

struct Host {
    data: bool,
}

impl HostWriter for Host {
    fn work(&mut self, _: &WorkRef) -> Result<Vec<u8>, String> {
        Err("a lock".to_owned())
    }

    fn file(&mut self, _: &dyn ByteSource) -> Result<Vec<u8>, String> {
        Err("a socket".to_owned())
    }

    fn tasks(&mut self, _: &Tasks) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn with_data(&self) -> bool {
        self.data
    }
}

impl HostReader for Host {
    fn work(&mut self, _: &[u8]) -> Result<WorkRef, String> {
        Err("nothing was written".to_owned())
    }

    fn file(&mut self, _: &[u8]) -> Result<Arc<dyn ByteSource>, String> {
        Err("nothing was written".to_owned())
    }

    fn tasks(&mut self, _: &[u8]) -> Result<Vec<LayerRef>, String> {
        Err("nothing was written".to_owned())
    }
}

fn table(digest: u128) -> Expr {
    let column = |label: &str, dtype, values| Column { label: Key::from(label), dtype, values };
    let frame = |from: i64| {
        let columns = vec![
            column("k", DType::Int64, Arc::new(Int64Array::from(vec![from, 1, from]))),
            column("x", DType::Float64, Arc::new(Float64Array::from(vec![0.5, f64::NAN, from as f64]))),
            column("s", DType::Str, Arc::new(LargeStringArray::from(vec![Some("a"), None, Some("ccc")]))),
        ];
        vec![Arc::new(Frame::new(columns, Index::Range { start: 0, step: 1 }, 3))]
    };
    let fields = [("k", DType::Int64), ("x", DType::Float64), ("s", DType::Str)]
        .into_iter()
        .map(|(label, dtype)| Field { label: Key::from(label), dtype: Some(dtype) })
        .collect();
    Expr::source(Arc::new(MemorySource::new("table", digest, fields, vec![frame(3), frame(4), frame(5)])))
}

fn key(label: &str) -> KeyRef {
    KeyRef::Column(Key::from(label))
}

fn by(label: &str) -> SortBy {
    SortBy { key: key(label), ascending: true, missing_first: false }
}

fn joined(left: &Expr, right: &Expr, how: How) -> Expr {
    let column = |label: &str, side, source: &str| JoinColumn {
        label: Key::from(label),
        side,
        source: Key::from(source),
    };
    let columns =
        vec![column("k", Side::Key(0), "k"), column("x", Side::Left, "x"), column("y", Side::Right, "x")];
    let spec = JoinSpec { how, left: vec![key("k")], right: vec![key("k")], columns, index: None };
    Expr::join(left, right, spec).unwrap()
}

/// One of every kind that needs no host.
fn samples() -> Vec<Expr> {
    let t = table(1);
    let series = |label: &str| t.column(Key::from(label)).unwrap();
    let (k, x, s) = (series("k"), series("x"), series("s"));
    let positive = Expr::binary(BinaryOp::Gt, &x, 0).unwrap();
    let filtered = t.filter(&positive).unwrap();
    let sum = x.reduce(Func::Sum).unwrap();
    let agg = |func, input: &Expr| Agg { label: Key::from("a"), func, input: Some(input.clone()) };
    let group = |split| {
        let keys = vec![(Some(Key::from("k")), k.clone())];
        t.groupby(keys, vec![agg(Func::Var { ddof: 0 }, &x)], true, true, Kind::Table, split).unwrap()
    };
    let hash = By::Hash(vec![(key("k"), None)]);
    let boundaries = t.boundaries(vec![by("x")], vec![DType::Float64], 3, false).unwrap();
    let shuffled = t.shuffle(hash.clone(), 2, false).unwrap();
    let one = table(2).shuffle(hash.clone(), 1, false).unwrap();
    vec![
        t.clone(),
        t.project(vec![Key::from("x"), Key::from("k")]).unwrap(),
        t.assign(vec![(Key::from("y"), Expr::binary(BinaryOp::Sub, &x, &sum).unwrap())]).unwrap(),
        Expr::table(vec![(Key::from("p"), s.clone()), (Key::from("q"), k.clone())]).unwrap(),
        t.rename(vec![
            Key::Int(1),
            Key::Float(2.5f64.to_bits()),
            Key::Tuple([Key::from("a"), Key::Int(0)].into()),
        ])
        .unwrap(),
        x.rename_series(None).unwrap(),
        x.fillna(Literal { value: Scalar::Float(1.5), dtype: Some(DType::Float64) }).unwrap(),
        s.isin(vec![Scalar::Str("a".into()), Scalar::Str("b".into())]).unwrap(),
        filtered.clone(),
        group(1),
        group(3),
        s.value_counts(true, false, true, false).unwrap(),
        filtered.project(vec![Key::from("k"), Key::from("x")]).unwrap().reduce(Func::Mean).unwrap(),
        filtered.head(2, 2).unwrap(),
        filtered.tail(2).unwrap(),
        filtered.partitions(vec![2, 0]).unwrap(),
        Expr::concat(vec![t.clone(), filtered.clone()]).unwrap(),
        shuffled.clone(),
        t.shuffle(By::Number(key("k")), 2, true).unwrap(),
        t.shuffle(By::Range { keys: vec![by("x")], boundaries: boundaries.clone() }, 3, true).unwrap(),
        boundaries,
        t.sort_rows(vec![by("s"), by("k")], true).unwrap(),
        t.set_index(Key::from("k"), Some(Key::from("i")), true).unwrap(),
        t.set_index(Key::from("k"), None, false)
            .unwrap()
            .reset_index(vec![(Key::from("l"), DType::Int64)])
            .unwrap(),
        joined(&shuffled, &table(2).shuffle(hash, 2, false).unwrap(), How::Outer),
        joined(&t, &one, How::Inner),
    ]
}

fn trip(exprs: &[Expr], data: bool) -> Vec<Expr> {
    let mut host = Host { data };
    let named: Vec<(Expr, Key)> = exprs.iter().map(|e| (e.clone(), Key::from(e.name()))).collect();
    let bytes = portable::write(&named, &mut host).unwrap().to_bytes();
    let parts = portable::parts(&bytes).unwrap();
    let back = portable::read(parts[0], &parts[1..], &mut host).unwrap();
    assert!(back.iter().zip(&named).all(|((_, name), (_, own))| name == own));
    back.into_iter().map(|(expr, _)| expr).collect()
}

#[test]
fn expressions_are_the_same_after_the_trip() {
    let samples = samples();
    for data in [true, false] {
        for (expr, back) in samples.iter().zip(trip(&samples, data)) {
            assert_eq!((expr.digest(), expr.schema()), (back.digest(), back.schema()), "{}", expr.explain());
            assert_eq!((expr.npartitions(), expr.known_rows()), (back.npartitions(), back.known_rows()));
        }
    }
}

/// What workers lower are the layers that the client has.
#[test]
fn recipes_come_to_the_same_layers_elsewhere() {
    let mut sets: Vec<Vec<Expr>> = samples().into_iter().map(|expr| vec![expr]).collect();
    sets.push(samples());
    for exprs in sets {
        let tops = lower(&exprs).unwrap();
        let origin = tops[0].work.origin().unwrap();
        let recipe = Arc::clone(origin.recipe);
        let recipe = recipe.as_any().downcast_ref::<Lowered>().unwrap();
        let mut host = Host { data: false };
        let bytes = recipe.write(&mut host).unwrap().to_bytes();
        let parts = portable::parts(&bytes).unwrap();
        let there = Lowered::read(parts[0], &parts[1..], &mut host).unwrap().all().unwrap();
        for top in &tops {
            let own = top.work.origin().unwrap();
            assert_eq!(there[own.number as usize].name, top.name);
        }
        let again = lower(&exprs).unwrap();
        let numbers = |layers: &[LayerRef]| -> Vec<u32> {
            layers.iter().map(|layer| layer.work.origin().unwrap().number).collect()
        };
        assert_eq!(numbers(&tops), numbers(&again));
        assert_ne!(fingerprint(&there), 0);
    }
}

#[test]
fn a_long_chain_is_written_without_recursion() {
    let mut x = table(1).column(Key::from("x")).unwrap();
    for _ in 0..5_000 {
        x = Expr::binary(BinaryOp::Add, &x, 1).unwrap();
    }
    assert_eq!(trip(std::slice::from_ref(&x), true)[0], x);
}

#[test]
fn damage_is_an_error() {
    let mut host = Host { data: true };
    let expr = samples().swap_remove(9);
    let written = portable::write(&[(expr.clone(), Key::from("a"))], &mut host).unwrap();
    let blobs: Vec<&[u8]> = written.blobs.iter().map(Vec::as_slice).collect();
    for at in 0..written.steps.len() {
        assert!(portable::read(&written.steps[..at], &blobs, &mut host).is_err());
        let mut wrong = written.steps.clone();
        wrong[at] ^= 0x55;
        // A change that is not seen changes nothing about the expression, but its name.
        if let Ok(back) = portable::read(&wrong, &blobs, &mut host) {
            assert!(back.iter().all(|(back, _)| back.name() == expr.name()), "byte {at}");
        }
    }
    assert!(portable::read(&written.steps, &[], &mut host).is_err());
    let mut other = written.steps.clone();
    other[0] = 250;
    let error = portable::read(&other, &blobs, &mut host).unwrap_err();
    assert!(matches!(error, PortableError::Version { found: 250 }), "{error}");
}
