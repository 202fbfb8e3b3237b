//! A fused elementwise program: instructions over registers.

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
}

impl Instr {
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
        let mut last = vec![0usize; instrs.len()];
        for (i, instr) in instrs.iter().enumerate() {
            for arg in instr.args {
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
                if end == i && instr.args.contains(&Slot::Value(v as u16)) {
                    free.push(registers[v]);
                }
            }
        }
        Program { inputs, instrs, out, num, registers, nregisters: n }
    }
}
