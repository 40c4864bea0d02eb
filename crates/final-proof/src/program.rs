//! The constraint check as a straight-line program, made from the AIRs' symbolic constraints and lookups.
//!
//! The program computes, from the opened values and the challenges, everything that must hold at the out-of-domain point: every table's folded
//! constraints against its quotient, and the sum of the lookup terminals. It is the data that the Solidity verifier interprets; [`run`] interprets it natively.
//!
//! Values are challenge-field elements. Equal subexpressions are computed once. The contract keeps five coordinates of 42 bits in a word and
//! reduces them only where a bound demands it; the compiler tracks the bounds (in multiples of the modulus) and inserts the reductions.

use crate::FinalAir;
use crate::config::{EF, F};
use crate::shape::{EXT, Point, Shape};
use p3_air::symbolic::{
    AirLayout, BaseEntry, BaseLeaf, ExtEntry, ExtLeaf, SymbolicExpr, SymbolicExpression,
    SymbolicExpressionExt,
};
use p3_batch_stark::symbolic::get_symbolic_constraints;
use p3_commit::PolynomialSpace;
use p3_field::coset::TwoAdicMultiplicativeCoset;
use p3_field::{
    BasedVectorSpace, ExtensionField, Field, PrimeCharacteristicRing, PrimeField32, TwoAdicField,
};
use p3_lookup::{Kind, LogUpGadget, Lookup, Lookups};
use std::collections::HashMap;

/// Lanes below this multiple of the modulus may be multiplied.
const MAX_FACTOR: u32 = 512;
/// What the contract adds before it subtracts: lanes of a subtrahend must not be greater than this multiple of the modulus.
pub const SUB_BOUND: u32 = 16;
/// The greatest constant by which lanes are multiplied without reduction.
const MAX_SCALE: u32 = 16;

/// One operation of the program. Operands are registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// `d = a + b`
    Add = 0,
    /// `d = a - b`
    Sub = 1,
    /// `d = a b`
    Mul = 2,
    /// `d = a b`, where `b` is a base-field constant
    MulBase = 3,
    /// `d = a b`, where `b` is a small base-field constant; not reduced
    Scale = 4,
    /// `d = a`, reduced
    Reduce = 5,
    /// accumulator `= accumulator x + a`, where `x` is the constraint challenge
    Fold = 6,
    /// `d = ` accumulator, which starts again at zero
    Take = 7,
    /// `d =` the element whose coordinates are the elements `a..a+5`
    Recompose = 8,
    /// `d = 1 / a`; refuses zero
    Inverse = 9,
    /// refuses unless `a = 0`
    AssertZero = 10,
}

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub op: Op,
    /// Register of the result.
    pub d: u16,
    /// First operand.
    pub a: u16,
    /// Second operand.
    pub b: u16,
}

impl Instruction {
    /// Bytes of an encoded instruction.
    pub const BYTES: usize = 7;

    /// `op d a b`, most significant byte first.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let ([d0, d1], [a0, a1], [b0, b1]) =
            (self.d.to_be_bytes(), self.a.to_be_bytes(), self.b.to_be_bytes());
        [self.op as u8, d0, d1, a0, a1, b0, b1]
    }
}

/// A value that the program is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Input {
    Constant(u32),
    LookupAlpha,
    LookupBeta,
    Zeta,
    Public(usize),
    Terminal(usize),
    Opened(usize),
}

/// The program. Its first registers are, in order: the constants, the lookup challenges (if there are lookups), the out-of-domain point, the public
/// values, the terminals, the opened values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Base-field constants, canonical.
    pub constants: Vec<u32>,
    /// All instructions.
    pub code: Vec<Instruction>,
    /// Registers in all.
    pub num_registers: usize,
    /// The register of the first challenge.
    pub challenges: usize,
    /// The register of the first public value.
    pub publics: usize,
    /// The register of the first terminal.
    pub terminals: usize,
    /// The register of the first opened value.
    pub opened: usize,
}

/// The program cannot be expressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// More registers than an operand can name.
    #[error("the constraint program needs {0} registers, 65,536 are possible")]
    TooManyRegisters(usize),
    /// Constants outside the base field are not supported.
    #[error("constants outside the base field are not supported in the final layer")]
    ExtensionConstant,
    /// Periodic columns are not supported.
    #[error("periodic columns are not supported in the final layer")]
    Periodic,
}

/// A value in the graph: an index into [`Graph::nodes`].
type Node = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Expr {
    Input(Input),
    Add(Node, Node),
    Sub(Node, Node),
    Mul(Node, Node),
    Recompose([Node; EXT]),
    Inverse(Node),
}

/// What has to be done in order: everything else is computed when it is first needed.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Fold(Node),
    /// The folded constraints, divided by the vanishing polynomial, must equal the quotient.
    Take {
        quotient: Node,
        inverse_vanishing: Node,
    },
    AssertZero(Node),
}

#[derive(Default)]
struct Graph {
    nodes: Vec<Expr>,
    index: HashMap<Expr, Node>,
    effects: Vec<Effect>,
}

impl Graph {
    fn node(&mut self, expr: Expr) -> Node {
        if let Some(&node) = self.index.get(&expr) {
            return node;
        }
        let node = self.nodes.len() as Node;
        self.nodes.push(expr);
        self.index.insert(expr, node);
        node
    }
    fn input(&mut self, input: Input) -> Node {
        self.node(Expr::Input(input))
    }
    fn constant(&mut self, x: F) -> Node {
        self.input(Input::Constant(x.as_canonical_u32()))
    }
    fn as_constant(&self, node: Node) -> Option<F> {
        match self.nodes[node as usize] {
            Expr::Input(Input::Constant(c)) => Some(F::from_u32(c)),
            _ => None,
        }
    }
    fn add(&mut self, a: Node, b: Node) -> Node {
        match (self.as_constant(a), self.as_constant(b)) {
            (Some(x), Some(y)) => self.constant(x + y),
            (Some(F::ZERO), _) => b,
            (_, Some(F::ZERO)) => a,
            _ => self.node(Expr::Add(a.min(b), a.max(b))),
        }
    }
    fn sub(&mut self, a: Node, b: Node) -> Node {
        match (self.as_constant(a), self.as_constant(b)) {
            (Some(x), Some(y)) => self.constant(x - y),
            (_, Some(y)) => {
                let negated = self.constant(-y);
                self.add(a, negated)
            }
            _ => self.node(Expr::Sub(a, b)),
        }
    }
    fn mul(&mut self, a: Node, b: Node) -> Node {
        match (self.as_constant(a), self.as_constant(b)) {
            (Some(x), Some(y)) => self.constant(x * y),
            (Some(F::ZERO), _) => a,
            (_, Some(F::ZERO)) => b,
            (Some(F::ONE), _) => b,
            (_, Some(F::ONE)) => a,
            _ => self.node(Expr::Mul(a.min(b), a.max(b))),
        }
    }
    fn neg(&mut self, a: Node) -> Node {
        let zero = self.constant(F::ZERO);
        self.sub(zero, a)
    }
}

/// The inputs of one table's constraints.
struct AirInputs {
    main: [Vec<Node>; 2],
    preprocessed: [Vec<Node>; 2],
    permutation: [Vec<Node>; 2],
    challenges: Vec<Node>,
    terminal: Option<Node>,
    publics: Vec<Node>,
    first: Node,
    last: Node,
    transition: Node,
}

/// Translates expressions; remembers shared parts by their address, which stays valid while the constraints live.
struct Translator<'a> {
    graph: &'a mut Graph,
    inputs: &'a AirInputs,
    base: HashMap<*const SymbolicExpression<F>, Node>,
    ext: HashMap<*const SymbolicExpressionExt<F, EF>, Node>,
}

impl Translator<'_> {
    fn base(&mut self, e: &SymbolicExpression<F>) -> Result<Node, ProgramError> {
        if let Some(&node) = self.base.get(&std::ptr::from_ref(e)) {
            return Ok(node);
        }
        let node = match e {
            SymbolicExpr::Leaf(leaf) => self.base_leaf(leaf)?,
            SymbolicExpr::Add { x, y, .. } => {
                let (x, y) = (self.base(x)?, self.base(y)?);
                self.graph.add(x, y)
            }
            SymbolicExpr::Sub { x, y, .. } => {
                let (x, y) = (self.base(x)?, self.base(y)?);
                self.graph.sub(x, y)
            }
            SymbolicExpr::Neg { x, .. } => {
                let x = self.base(x)?;
                self.graph.neg(x)
            }
            SymbolicExpr::Mul { x, y, .. } => {
                let (x, y) = (self.base(x)?, self.base(y)?);
                self.graph.mul(x, y)
            }
        };
        self.base.insert(std::ptr::from_ref(e), node);
        Ok(node)
    }

    fn base_leaf(&mut self, leaf: &BaseLeaf<F>) -> Result<Node, ProgramError> {
        Ok(match leaf {
            BaseLeaf::Variable(v) => match v.entry {
                BaseEntry::Main { offset } => self.inputs.main[offset][v.index],
                BaseEntry::Preprocessed { offset } => self.inputs.preprocessed[offset][v.index],
                BaseEntry::Public => self.inputs.publics[v.index],
                BaseEntry::Periodic => return Err(ProgramError::Periodic),
            },
            BaseLeaf::IsFirstRow => self.inputs.first,
            BaseLeaf::IsLastRow => self.inputs.last,
            BaseLeaf::IsTransition => self.inputs.transition,
            BaseLeaf::Constant(c) => self.graph.constant(*c),
        })
    }

    fn ext(&mut self, e: &SymbolicExpressionExt<F, EF>) -> Result<Node, ProgramError> {
        if let Some(&node) = self.ext.get(&std::ptr::from_ref(e)) {
            return Ok(node);
        }
        let node = match e {
            SymbolicExpr::Leaf(ExtLeaf::Base(e)) => self.base(e)?,
            SymbolicExpr::Leaf(ExtLeaf::ExtVariable(v)) => match v.entry {
                ExtEntry::Permutation { offset } => self.inputs.permutation[offset][v.index],
                ExtEntry::Challenge => self.inputs.challenges[v.index],
                // There is one, of a table that has lookups.
                ExtEntry::PermutationValue => {
                    self.inputs.terminal.expect("a table with lookups has a terminal")
                }
            },
            SymbolicExpr::Leaf(ExtLeaf::ExtConstant(c)) => {
                let coefficients: &[F] = c.as_basis_coefficients_slice();
                if !ExtensionField::<F>::is_in_basefield(c) {
                    return Err(ProgramError::ExtensionConstant);
                }
                self.graph.constant(coefficients[0])
            }
            SymbolicExpr::Add { x, y, .. } => {
                let (x, y) = (self.ext(x)?, self.ext(y)?);
                self.graph.add(x, y)
            }
            SymbolicExpr::Sub { x, y, .. } => {
                let (x, y) = (self.ext(x)?, self.ext(y)?);
                self.graph.sub(x, y)
            }
            SymbolicExpr::Neg { x, .. } => {
                let x = self.ext(x)?;
                self.graph.neg(x)
            }
            SymbolicExpr::Mul { x, y, .. } => {
                let (x, y) = (self.ext(x)?, self.ext(y)?);
                self.graph.mul(x, y)
            }
        };
        self.ext.insert(std::ptr::from_ref(e), node);
        Ok(node)
    }
}

/// Bus numbers of every lookup, in the prover's order of first appearance, and the widest message: the layout of the LogUp challenges.
fn buses(lookups: &[Lookups<F>]) -> (Vec<Vec<usize>>, usize) {
    let mut named: HashMap<&str, usize> = HashMap::new();
    let (mut next, mut width) = (0, 1);
    let mut fresh = || {
        next += 1;
        next - 1
    };
    let ids = lookups
        .iter()
        .map(|table| {
            table
                .iter()
                .map(|lookup: &Lookup<F>| {
                    width = lookup.elements.iter().map(Vec::len).fold(width, usize::max);
                    match &lookup.kind {
                        Kind::Global(name) => *named.entry(name).or_insert_with(&mut fresh),
                        Kind::Local => fresh(),
                    }
                })
                .collect()
        })
        .collect();
    (ids, width)
}

/// Selectors and powers at one height.
#[derive(Clone, Copy)]
struct Selectors {
    /// zeta^n
    power: Node,
    first: Node,
    last: Node,
    transition: Node,
    inverse_vanishing: Node,
}

fn selectors(graph: &mut Graph, log_height: usize) -> Selectors {
    let zeta = graph.input(Input::Zeta);
    let one = graph.constant(F::ONE);
    let power = (0..log_height).fold(zeta, |x, _| graph.mul(x, x));
    let vanishing = graph.sub(power, one);
    let inverse_vanishing = graph.node(Expr::Inverse(vanishing));
    let from_first = graph.sub(zeta, one);
    let last_row = graph.constant(F::two_adic_generator(log_height).inverse());
    let transition = graph.sub(zeta, last_row);
    let inverse_first = graph.node(Expr::Inverse(from_first));
    let inverse_last = graph.node(Expr::Inverse(transition));
    let first = graph.mul(vanishing, inverse_first);
    let last = graph.mul(vanishing, inverse_last);
    Selectors { power, first, last, transition, inverse_vanishing }
}

fn opened(graph: &mut Graph, first: usize, width: usize) -> Vec<Node> {
    (first..first + width).map(|i| graph.input(Input::Opened(i))).collect()
}

/// The values of a matrix at both points; zero where it is not opened.
fn rows(graph: &mut Graph, shape: &Shape, batch: usize, matrix: usize) -> [Vec<Node>; 2] {
    let m = &shape.batches[batch].matrices[matrix];
    [Point::Zeta, Point::Next].map(|point| match m.points.iter().find(|(p, _)| *p == point) {
        Some(&(_, first)) => opened(graph, first, m.width),
        None => {
            let zero = graph.constant(F::ZERO);
            vec![zero; m.width]
        }
    })
}

fn recompose(graph: &mut Graph, flat: &[Node]) -> Vec<Node> {
    flat.chunks_exact(EXT)
        .map(|c| graph.node(Expr::Recompose(std::array::from_fn(|i| c[i]))))
        .collect()
}

/// The quotient at zeta from its chunks, as `recompose_quotient_from_chunks` defines it.
fn quotient(graph: &mut Graph, power: Node, log_height: usize, chunks: &[Node]) -> Node {
    let trace = TwoAdicMultiplicativeCoset::<F>::new(F::ONE, log_height).expect("within the field");
    let domains =
        trace.create_disjoint_domain(chunks.len() << log_height).split_domains(chunks.len());
    let one = graph.constant(F::ONE);
    let mut sum = graph.constant(F::ZERO);
    for (i, &chunk) in chunks.iter().enumerate() {
        let mut scale = F::ONE;
        let mut term = chunk;
        for other in domains.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, d)| d) {
            let at_first: F = other.vanishing_poly_at_point(domains[i].first_point());
            scale *= at_first.inverse();
            let shift = graph.constant(other.shift_inverse().exp_power_of_2(log_height));
            let scaled = graph.mul(power, shift);
            let vanishing = graph.sub(scaled, one);
            term = graph.mul(term, vanishing);
        }
        let scale = graph.constant(scale);
        let term = graph.mul(term, scale);
        sum = graph.add(sum, term);
    }
    sum
}

/// The graph of everything that must hold at the out-of-domain point.
fn graph<A: FinalAir>(
    shape: &Shape,
    airs: &[A],
    lookups: &[Lookups<F>],
) -> Result<Graph, ProgramError> {
    let mut graph = Graph::default();
    let (bus_ids, width) = buses(lookups);
    let mut heights: HashMap<usize, Selectors> = HashMap::new();
    let (mut public, mut terminal, mut chunk, mut pre, mut perm) = (0, 0, 0, 0, 0);
    for (i, (air, a)) in airs.iter().zip(&shape.airs).enumerate() {
        let sel = match heights.get(&a.log_height) {
            Some(sel) => *sel,
            None => selectors(&mut graph, a.log_height),
        };
        heights.insert(a.log_height, sel);
        let preprocessed = match shape.preprocessed {
            Some(batch) if a.pre_width > 0 => {
                pre += 1;
                rows(&mut graph, shape, batch, pre - 1)
            }
            _ => [vec![], vec![]],
        };
        let has_lookups = a.num_lookups > 0;
        let permutation = match shape.permutation {
            Some(batch) if has_lookups => {
                perm += 1;
                rows(&mut graph, shape, batch, perm - 1).map(|flat| recompose(&mut graph, &flat))
            }
            _ => [vec![], vec![]],
        };
        let inputs = AirInputs {
            main: rows(&mut graph, shape, crate::shape::MAIN, i),
            preprocessed,
            permutation,
            challenges: bus_challenges(&mut graph, &bus_ids[i], width),
            terminal: has_lookups.then(|| graph.input(Input::Terminal(terminal))),
            publics: (public..public + a.num_public)
                .map(|p| graph.input(Input::Public(p)))
                .collect(),
            first: sel.first,
            last: sel.last,
            transition: sel.transition,
        };
        public += a.num_public;
        terminal += usize::from(has_lookups);
        fold_constraints(&mut graph, air, &inputs, &lookups[i])?;
        let n = 1 << a.log_chunks;
        let flat: Vec<Node> = (chunk..chunk + n)
            .flat_map(|c| rows(&mut graph, shape, crate::shape::QUOTIENT, c)[0].clone())
            .collect();
        chunk += n;
        let chunks = recompose(&mut graph, &flat);
        let quotient = quotient(&mut graph, sel.power, a.log_height, &chunks);
        let inverse_vanishing = sel.inverse_vanishing;
        graph.effects.push(Effect::Take { quotient, inverse_vanishing });
    }
    let terminals: Vec<Node> = (0..terminal).map(|t| graph.input(Input::Terminal(t))).collect();
    let zero = graph.constant(F::ZERO);
    let sum = terminals.into_iter().fold(zero, |sum, t| graph.add(sum, t));
    graph.effects.push(Effect::AssertZero(sum));
    Ok(graph)
}

/// A table's LogUp challenges: for each lookup its bus's prefix `alpha + (bus + 1) beta^width`, and beta.
fn bus_challenges(graph: &mut Graph, ids: &[usize], width: usize) -> Vec<Node> {
    if ids.is_empty() {
        return vec![];
    }
    let (alpha, beta) = (graph.input(Input::LookupAlpha), graph.input(Input::LookupBeta));
    let gamma = (1..width).fold(beta, |x, _| graph.mul(x, beta));
    ids.iter()
        .flat_map(|&bus| {
            let number = graph.constant(F::from_usize(bus + 1));
            let offset = graph.mul(gamma, number);
            [graph.add(alpha, offset), beta]
        })
        .collect()
}

fn fold_constraints<A: FinalAir>(
    graph: &mut Graph,
    air: &A,
    inputs: &AirInputs,
    lookups: &Lookups<F>,
) -> Result<(), ProgramError> {
    let layout = AirLayout::from_air(air);
    if layout.num_periodic_columns > 0 {
        return Err(ProgramError::Periodic);
    }
    let (base, ext) =
        get_symbolic_constraints::<F, EF, A, _>(air, layout, lookups, &LogUpGadget::new());
    let mut translator = Translator { graph, inputs, base: HashMap::new(), ext: HashMap::new() };
    for constraint in &base {
        let node = translator.base(constraint)?;
        translator.graph.effects.push(Effect::Fold(node));
    }
    for constraint in &ext {
        let node = translator.ext(constraint)?;
        translator.graph.effects.push(Effect::Fold(node));
    }
    Ok(())
}

/// Makes instructions of a graph.
struct Compiler<'a> {
    graph: &'a Graph,
    code: Vec<Instruction>,
    /// The register and the bound of every node that has been computed.
    values: Vec<Option<(u16, u32)>>,
    /// How often each node is still needed.
    uses: Vec<u32>,
    free: Vec<u16>,
    next: usize,
    inputs: HashMap<Input, u16>,
}

impl Compiler<'_> {
    fn operands(&self, node: Node) -> Vec<Node> {
        match self.graph.nodes[node as usize] {
            Expr::Input(_) => vec![],
            Expr::Add(a, b) | Expr::Sub(a, b) | Expr::Mul(a, b) => vec![a, b],
            Expr::Recompose(parts) => parts.to_vec(),
            Expr::Inverse(a) => vec![a],
        }
    }

    fn register(&mut self) -> u16 {
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            (self.next - 1) as u16
        })
    }

    fn emit(&mut self, op: Op, d: u16, a: u16, b: u16) {
        self.code.push(Instruction { op, d, a, b });
    }

    /// One use less; a register that nobody needs any more is free.
    fn release(&mut self, node: Node) {
        self.uses[node as usize] -= 1;
        if self.uses[node as usize] == 0
            && !matches!(self.graph.nodes[node as usize], Expr::Input(_))
            && let Some((register, _)) = self.values[node as usize]
        {
            self.free.push(register);
        }
    }

    /// Lowers a computed value's bound to at most `limit`.
    fn limit(&mut self, node: Node, limit: u32) {
        if let Some((register, bound)) = self.values[node as usize]
            && bound > limit
        {
            self.emit(Op::Reduce, register, register, 0);
            self.values[node as usize] = Some((register, 1));
        }
    }

    fn value(&self, node: Node) -> (u16, u32) {
        self.values[node as usize].expect("operands are computed before they are used")
    }

    /// Computes a node and what it needs, without recursion: expressions may be deep.
    fn compute(&mut self, node: Node) {
        let mut stack = vec![node];
        while let Some(&node) = stack.last() {
            if self.values[node as usize].is_some() {
                stack.pop();
                continue;
            }
            let missing: Vec<Node> = self
                .operands(node)
                .into_iter()
                .filter(|&n| self.values[n as usize].is_none())
                .collect();
            if missing.is_empty() {
                stack.pop();
                self.compute_one(node);
            } else {
                stack.extend(missing.into_iter().rev());
            }
        }
    }

    fn compute_one(&mut self, node: Node) {
        let value = match self.graph.nodes[node as usize] {
            Expr::Input(input) => (self.inputs[&input], 1),
            Expr::Add(a, b) => self.add(a, b),
            Expr::Sub(a, b) => self.sub(a, b),
            Expr::Mul(a, b) => self.mul(a, b),
            Expr::Recompose(parts) => self.recompose(parts),
            Expr::Inverse(a) => {
                self.limit(a, MAX_FACTOR);
                let (ra, _) = self.value(a);
                self.release(a);
                let d = self.register();
                self.emit(Op::Inverse, d, ra, 0);
                (d, 1)
            }
        };
        self.values[node as usize] = Some(value);
    }

    fn add(&mut self, a: Node, b: Node) -> (u16, u32) {
        let sum = |c: &Self| c.value(a).1 + c.value(b).1;
        if sum(self) > MAX_FACTOR {
            let larger = if self.value(a).1 >= self.value(b).1 { a } else { b };
            self.limit(larger, 1);
        }
        if sum(self) > MAX_FACTOR {
            self.limit(a, 1);
            self.limit(b, 1);
        }
        self.binary(Op::Add, a, b, sum(self))
    }

    fn sub(&mut self, a: Node, b: Node) -> (u16, u32) {
        self.limit(b, SUB_BOUND);
        self.limit(a, MAX_FACTOR - SUB_BOUND);
        let bound = self.value(a).1 + SUB_BOUND;
        self.binary(Op::Sub, a, b, bound)
    }

    fn mul(&mut self, a: Node, b: Node) -> (u16, u32) {
        let (a, b) = if self.graph.as_constant(a).is_some() { (b, a) } else { (a, b) };
        match self.graph.as_constant(b).map(|c| c.as_canonical_u32()) {
            Some(c) if c <= MAX_SCALE => {
                self.limit(a, MAX_FACTOR / c);
                let bound = self.value(a).1 * c;
                self.binary(Op::Scale, a, b, bound)
            }
            Some(_) => self.binary(Op::MulBase, a, b, 1),
            None => self.binary(Op::Mul, a, b, 1),
        }
    }

    fn binary(&mut self, op: Op, a: Node, b: Node, bound: u32) -> (u16, u32) {
        let ((ra, _), (rb, _)) = (self.value(a), self.value(b));
        self.release(a);
        self.release(b);
        let d = self.register();
        self.emit(op, d, ra, rb);
        (d, bound)
    }

    /// The contract recomposes five registers in a row: opened values lie so, constants do not occur.
    fn recompose(&mut self, parts: [Node; EXT]) -> (u16, u32) {
        let first = self.value(parts[0]).0;
        for (i, &part) in parts.iter().enumerate() {
            assert_eq!(self.value(part).0, first + i as u16, "recomposed values lie in a row");
            self.release(part);
        }
        let d = self.register();
        self.emit(Op::Recompose, d, first, 0);
        (d, 1)
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Fold(node) => {
                self.compute(node);
                self.limit(node, MAX_FACTOR);
                let (register, _) = self.value(node);
                self.emit(Op::Fold, 0, register, 0);
                self.release(node);
            }
            Effect::Take { quotient, inverse_vanishing } => {
                self.compute(quotient);
                self.limit(quotient, SUB_BOUND);
                self.compute(inverse_vanishing);
                let (quotient_register, _) = self.value(quotient);
                let (inverse, _) = self.value(inverse_vanishing);
                let folded = self.register();
                self.emit(Op::Take, folded, 0, 0);
                self.emit(Op::Mul, folded, folded, inverse);
                self.emit(Op::Sub, folded, folded, quotient_register);
                self.emit(Op::AssertZero, 0, folded, 0);
                self.free.push(folded);
                self.release(quotient);
                self.release(inverse_vanishing);
            }
            Effect::AssertZero(node) => {
                self.compute(node);
                let (register, _) = self.value(node);
                self.emit(Op::AssertZero, 0, register, 0);
                self.release(node);
            }
        }
    }
}

/// How often each node is needed, counting only nodes that matter.
fn count_uses(graph: &Graph) -> Vec<u32> {
    let mut uses = vec![0u32; graph.nodes.len()];
    for effect in &graph.effects {
        match *effect {
            Effect::Fold(n) | Effect::AssertZero(n) => uses[n as usize] += 1,
            Effect::Take { quotient, inverse_vanishing } => {
                uses[quotient as usize] += 1;
                uses[inverse_vanishing as usize] += 1;
            }
        }
    }
    // Operands come before the nodes that use them.
    for node in (0..graph.nodes.len()).rev() {
        if uses[node] == 0 {
            continue;
        }
        match graph.nodes[node] {
            Expr::Input(_) => {}
            Expr::Add(a, b) | Expr::Sub(a, b) | Expr::Mul(a, b) => {
                uses[a as usize] += 1;
                uses[b as usize] += 1;
            }
            Expr::Recompose(parts) => parts.iter().for_each(|&p| uses[p as usize] += 1),
            Expr::Inverse(a) => uses[a as usize] += 1,
        }
    }
    uses
}

impl Program {
    /// The program of a set of tables.
    ///
    /// # Errors
    /// When it cannot be expressed.
    pub fn new<A: FinalAir>(
        shape: &Shape,
        airs: &[A],
        lookups: &[Lookups<F>],
    ) -> Result<Self, ProgramError> {
        let graph = graph(shape, airs, lookups)?;
        let constants: Vec<u32> = graph
            .nodes
            .iter()
            .filter_map(|e| match e {
                Expr::Input(Input::Constant(c)) => Some(*c),
                _ => None,
            })
            .collect();
        let challenges = constants.len();
        let lookup = if shape.permutation.is_some() { 2 } else { 0 };
        let publics = challenges + lookup + 1;
        let terminals = publics + shape.num_public();
        let opened = terminals + shape.num_terminals();
        let registers = opened + shape.num_opened;
        let inputs = graph
            .nodes
            .iter()
            .filter_map(|e| match e {
                Expr::Input(input) => Some(*input),
                _ => None,
            })
            .map(|input| {
                let register = match input {
                    Input::Constant(c) => {
                        constants.iter().position(|x| *x == c).expect("every constant is listed")
                    }
                    Input::LookupAlpha => challenges,
                    Input::LookupBeta => challenges + 1,
                    Input::Zeta => challenges + lookup,
                    Input::Public(i) => publics + i,
                    Input::Terminal(i) => terminals + i,
                    Input::Opened(i) => opened + i,
                };
                (input, register as u16)
            })
            .collect();
        let mut compiler = Compiler {
            graph: &graph,
            code: vec![],
            values: vec![None; graph.nodes.len()],
            uses: count_uses(&graph),
            free: vec![],
            next: registers,
            inputs,
        };
        for effect in &graph.effects {
            compiler.effect(*effect);
        }
        let num_registers = compiler.next;
        if num_registers > 1 << 16 {
            return Err(ProgramError::TooManyRegisters(num_registers));
        }
        Ok(Self {
            constants,
            code: compiler.code,
            num_registers,
            challenges,
            publics,
            terminals,
            opened,
        })
    }
}

/// What a program is run on.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Challenges: lookup alpha and beta (if there are lookups), zeta.
    pub challenges: Vec<EF>,
    /// Public values of all tables.
    pub publics: Vec<F>,
    /// Terminals.
    pub terminals: Vec<EF>,
    /// Opened values.
    pub opened: Vec<EF>,
    /// The challenge that folds constraints.
    pub alpha: EF,
}

/// Runs a program natively: whether everything holds.
pub fn run(program: &Program, w: &Witness) -> bool {
    let constants = program.constants.iter().map(|&c| EF::from(F::from_u32(c)));
    let mut r: Vec<EF> = constants
        .chain(w.challenges.iter().copied())
        .chain(w.publics.iter().map(|&p| p.into()))
        .chain(w.terminals.iter().copied())
        .chain(w.opened.iter().copied())
        .collect();
    r.resize(program.num_registers, EF::ZERO);
    let mut folded = EF::ZERO;
    for i in &program.code {
        let (d, a, b) = (usize::from(i.d), usize::from(i.a), usize::from(i.b));
        match i.op {
            Op::Add => r[d] = r[a] + r[b],
            Op::Sub => r[d] = r[a] - r[b],
            Op::Mul | Op::MulBase | Op::Scale => r[d] = r[a] * r[b],
            Op::Reduce => r[d] = r[a],
            Op::Fold => folded = folded * w.alpha + r[a],
            Op::Take => r[d] = std::mem::take(&mut folded),
            Op::Recompose => {
                let parts = &r[a..a + EXT];
                let Some(x) = <EF as ExtensionField<F>>::from_ext_basis_coefficients(parts) else {
                    return false;
                };
                r[d] = x;
            }
            Op::Inverse => {
                let Some(x) = r[a].try_inverse() else { return false };
                r[d] = x;
            }
            Op::AssertZero => {
                if r[a] != EF::ZERO {
                    return false;
                }
            }
        }
    }
    true
}
