//! Where the cycles go: per operation, per accelerator and per function.

use crate::image::{ProgramImage, Symbol};
use crate::isa::Op;
use crate::trace::{AccelCall, Step, Tracer};
use cairn_accel::ids;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

/// The deepest call stack that is followed; deeper calls count for their ancestor.
const MAX_DEPTH: usize = 1 << 12;
/// The return-address register.
const RA: u8 = 1;

/// Cycles of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionCost {
    /// Times it was entered by a call.
    pub calls: u64,
    /// Instructions of its own.
    pub own: u64,
    /// Its own and those of everything it called (recursion counted once).
    pub total: u64,
}

struct Frame {
    function: usize,
    return_to: u32,
    start: u64,
    outermost: bool,
}

/// Counts while a program runs.
pub struct Profiler<'p> {
    program: &'p ProgramImage,
    /// Function of each row of the instruction table: an index into `program.symbols`, or its length for "unknown".
    function_of: Vec<u32>,
    ops: [u64; Op::COUNT],
    accelerators: BTreeMap<u32, u64>,
    costs: Vec<FunctionCost>,
    /// How many frames of each function are on the stack.
    active: Vec<u32>,
    /// Calls by (caller, callee).
    edges: BTreeMap<(usize, usize), u64>,
    stack: Vec<Frame>,
    cycles: u64,
}

impl fmt::Debug for Profiler<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiler").field("cycles", &self.cycles).finish_non_exhaustive()
    }
}

fn functions_of_rows(program: &ProgramImage) -> Vec<u32> {
    let unknown = program.symbols.len() as u32;
    let mut rows = vec![unknown; program.instrs.len()];
    for (number, symbol) in (0u32..).zip(&program.symbols) {
        let first = (symbol.addr.saturating_sub(program.base) / 4) as usize;
        let last = first.saturating_add(symbol.size.div_ceil(4) as usize).min(rows.len());
        if symbol.addr >= program.base && first < last {
            rows[first..last].fill(number);
        }
    }
    rows
}

impl<'p> Profiler<'p> {
    /// A profiler for a run of `program` from its start.
    #[must_use]
    pub fn new(program: &'p ProgramImage) -> Self {
        let functions = program.symbols.len() + 1;
        let mut profiler = Self {
            program,
            function_of: functions_of_rows(program),
            ops: [0; Op::COUNT],
            accelerators: BTreeMap::new(),
            costs: vec![FunctionCost::default(); functions],
            active: vec![0; functions],
            edges: BTreeMap::new(),
            stack: Vec::new(),
            cycles: 0,
        };
        let entry = profiler.function_at(program.entry);
        profiler.enter(entry, u32::MAX);
        profiler
    }

    fn function_at(&self, pc: u32) -> usize {
        let unknown = self.program.symbols.len();
        self.program.index_of(pc).map_or(unknown, |row| self.function_of[row as usize] as usize)
    }

    fn enter(&mut self, function: usize, return_to: u32) {
        self.costs[function].calls += 1;
        if self.stack.len() < MAX_DEPTH {
            if let Some(caller) = self.stack.last() {
                *self.edges.entry((caller.function, function)).or_default() += 1;
            }
            let outermost = self.active[function] == 0;
            self.active[function] += 1;
            self.stack.push(Frame { function, return_to, start: self.cycles, outermost });
        }
    }

    fn leave(&mut self) {
        if let Some(frame) = self.stack.pop() {
            self.active[frame.function] -= 1;
            if frame.outermost {
                self.costs[frame.function].total += self.cycles - frame.start;
            }
        }
    }

    #[inline]
    fn count(&mut self, step: &Step) {
        self.cycles += 1;
        self.ops[step.instr.op as usize] += 1;
        self.costs[self.function_of[step.index as usize] as usize].own += 1;
    }

    /// The result. Functions that have not returned are counted up to now.
    #[must_use]
    pub fn finish(mut self) -> Profile {
        while !self.stack.is_empty() {
            self.leave();
        }
        let name = |i: usize| {
            self.program
                .symbols
                .get(i)
                .map_or_else(|| "(no symbol)".to_owned(), |s: &Symbol| s.name.clone())
        };
        let mut functions: Vec<(String, FunctionCost)> = self
            .costs
            .iter()
            .enumerate()
            .filter(|(_, c)| c.own > 0)
            .map(|(i, c)| (name(i), *c))
            .collect();
        functions.sort_by_key(|f| Reverse(f.1.own));
        let mut ops: Vec<(Op, u64)> =
            Op::ALL.into_iter().zip(self.ops).filter(|&(_, n)| n > 0).collect();
        ops.sort_by_key(|o| Reverse(o.1));
        let mut edges: Vec<(String, String, u64)> =
            self.edges.iter().map(|(&(a, b), &n)| (name(a), name(b), n)).collect();
        edges.sort_by_key(|e| Reverse(e.2));
        Profile { cycles: self.cycles, ops, accelerators: self.accelerators, functions, edges }
    }
}

impl Tracer for Profiler<'_> {
    #[inline]
    fn step(&mut self, step: &Step) {
        self.count(step);
        match step.instr.op {
            Op::Jal | Op::Jalr if step.instr.rd == RA => {
                let callee = self.function_at(step.next_pc);
                self.enter(callee, step.pc.wrapping_add(4));
            }
            Op::Jalr if step.instr.rd == 0 => {
                // A return, possibly over tail calls: unwind to the frame that is returned to.
                if let Some(depth) = self.stack.iter().rposition(|f| f.return_to == step.next_pc) {
                    while self.stack.len() > depth {
                        self.leave();
                    }
                }
            }
            _ => {}
        }
    }

    fn ecall(&mut self, step: &Step, call: &AccelCall<'_>) {
        self.count(step);
        *self.accelerators.entry(call.id).or_default() += 1;
    }
}

/// A finished profile, everything in descending order of cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// All instructions.
    pub cycles: u64,
    /// Instructions by operation.
    pub ops: Vec<(Op, u64)>,
    /// Calls by ecall id.
    pub accelerators: BTreeMap<u32, u64>,
    /// Functions by own instructions.
    pub functions: Vec<(String, FunctionCost)>,
    /// Calls between functions: caller, callee, times.
    pub edges: Vec<(String, String, u64)>,
}

impl Profile {
    /// The cost of all functions whose name contains `part`.
    #[must_use]
    pub fn matching(&self, part: &str) -> FunctionCost {
        let found = self.functions.iter().filter(|(name, _)| name.contains(part));
        found.fold(FunctionCost::default(), |sum, (_, c)| FunctionCost {
            calls: sum.calls + c.calls,
            own: sum.own + c.own,
            total: sum.total + c.total,
        })
    }
}

/// Rows shown of the list of functions.
const SHOWN: usize = 40;

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |n: u64| 100.0 * n as f64 / self.cycles.max(1) as f64;
        writeln!(f, "{} cycles\n\noperation", self.cycles)?;
        for (op, n) in &self.ops {
            writeln!(f, "{n:>12} {:>5.1}%  {op:?}", percent(*n))?;
        }
        writeln!(f, "\naccelerator calls")?;
        for (id, n) in &self.accelerators {
            writeln!(f, "{n:>12}         {}", ids::name(*id))?;
        }
        writeln!(f, "\n         own           total       calls  function")?;
        for (name, cost) in self.functions.iter().take(SHOWN) {
            writeln!(
                f,
                "{:>12} {:>5.1}% {:>12} {:>5.1}% {:>9}  {name}",
                cost.own,
                percent(cost.own),
                cost.total,
                percent(cost.total),
                cost.calls
            )?;
        }
        Ok(())
    }
}
