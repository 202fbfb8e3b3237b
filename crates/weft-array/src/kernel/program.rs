//! A fused elementwise program: instructions over registers.

use super::pairs::{self, Then};
use super::{Bits, Num, Ufunc};

/// Where an instruction finds an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// An operand of the program.
    Input(u16),
    /// The result of an instruction.
    Value(u16),
    Const(Bits),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instr {
    pub op: Ufunc,
    /// What it computes with: the element type of its operands (of `where`: the last two).
    pub num: Num,
    /// [`Ufunc::Cast`]: the element type of the result.
    pub to: Num,
    pub args: [Slot; 3],
    /// What comes right after it, in the same loop.
    pub then: Option<Then>,
}

impl Instr {
    pub fn new(op: Ufunc, num: Num, to: Num, args: [Slot; 3]) -> Instr {
        Instr { op, num, to, args, then: None }
    }

    /// All that it reads.
    fn reads(&self) -> impl Iterator<Item = Slot> {
        self.args.into_iter().chain(self.then.map(|then| then.other))
    }

    pub fn result(&self) -> Num {
        self.op.result(self.to).unwrap_or(self.to)
    }
}

/// Instructions in an order in which operands come first. Instruction `i` makes value `i`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    pub inputs: Vec<Num>,
    pub instrs: Vec<Instr>,
    pub out: Slot,
    pub num: Num,
    /// The register of each value; a register is used again once nothing reads it any more.
    pub registers: Vec<u16>,
    pub nregisters: u16,
}

impl Program {
    pub fn new(inputs: Vec<Num>, instrs: Vec<Instr>, out: Slot, num: Num) -> Program {
        let (instrs, out) = in_pairs(&instrs, out);
        let mut last = vec![0usize; instrs.len()];
        for (i, instr) in instrs.iter().enumerate() {
            for arg in instr.reads() {
                if let Slot::Value(v) = arg {
                    last[v as usize] = i;
                }
            }
        }
        if let Slot::Value(v) = out {
            last[v as usize] = usize::MAX;
        }
        let mut registers = Vec::with_capacity(instrs.len());
        let mut free: Vec<u16> = Vec::new();
        let mut n = 0;
        for (i, instr) in instrs.iter().enumerate() {
            // An instruction never writes where it reads: what ends here is free after it.
            registers.push(free.pop().unwrap_or_else(|| {
                n += 1;
                n - 1
            }));
            for (v, &end) in last.iter().enumerate().take(i) {
                if end == i && instr.reads().any(|slot| slot == Slot::Value(v as u16)) {
                    free.push(registers[v]);
                }
            }
        }
        Program { inputs, instrs, out, num, registers, nregisters: n }
    }
}

/// Joins each instruction to the one that reads its result, where that is the only one and they may be one
/// loop.
fn in_pairs(instrs: &[Instr], out: Slot) -> (Vec<Instr>, Slot) {
    let mut uses = vec![0u32; instrs.len()];
    for instr in instrs {
        // Twice in one instruction counts once.
        let mut read: Vec<Slot> = instr.args.to_vec();
        read.dedup();
        for slot in read {
            if let Slot::Value(v) = slot {
                uses[v as usize] += 1;
            }
        }
    }
    if let Slot::Value(v) = out {
        uses[v as usize] += 1;
    }
    let mut joined: Vec<Option<Instr>> = Vec::with_capacity(instrs.len());
    for instr in instrs {
        let found = instr.args.iter().find_map(|slot| match *slot {
            Slot::Value(v) if uses[v as usize] == 1 => {
                let first = joined[v as usize].as_ref()?;
                Some((v, pairs::pair(first, instr, v)?))
            }
            _ => None,
        });
        match found {
            Some((v, pair)) => {
                joined[v as usize] = None;
                joined.push(Some(pair));
            }
            None => joined.push(Some(*instr)),
        }
    }
    // Values are numbered anew.
    let mut numbers = vec![0u16; instrs.len()];
    let mut next = 0;
    for (number, instr) in numbers.iter_mut().zip(&joined) {
        *number = next;
        next += instr.is_some() as u16;
    }
    let renumber = |slot: Slot| match slot {
        Slot::Value(v) => Slot::Value(numbers[v as usize]),
        other => other,
    };
    let renumbered = joined.into_iter().flatten().map(|instr| Instr {
        args: instr.args.map(renumber),
        then: instr.then.map(|then| Then { other: renumber(then.other), ..then }),
        ..instr
    });
    (renumbered.collect(), renumber(out))
}
