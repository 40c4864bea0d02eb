//! Evaluates a chip on packed rows: its constraints, and the denominators and counts of its messages.

use super::plan::Plan;
use super::{LANES, PackedEF, PackedF, coordinates};
use crate::bus::{EF, F};
use p3_air::{AirBuilder, RowWindow};
use p3_field::{BasedVectorSpace, Field, PackedValue, PrimeCharacteristicRing};
use p3_lookup::{Count, InteractionBuilder};

/// A message's denominator: `constant + sum weights[j] * field[j]` over the fields that are no constants.
struct Term {
    constant: PackedEF,
    weights: Vec<Option<[F; 4]>>,
}

/// The denominators of a chip's messages under the challenges of a proof.
pub struct Terms(Vec<Term>);

impl Terms {
    /// `challenges` are `(alpha, beta)` for each column: a message's denominator is `alpha - sum beta^(k-1-j) field[j]`.
    pub fn new(plan: &Plan, challenges: &[EF]) -> Self {
        let term = |message: &super::plan::MessagePlan| {
            let (mut constant, beta) =
                (challenges[2 * message.column], challenges[2 * message.column + 1]);
            let mut power = EF::ONE;
            let mut weights = vec![None; message.constants.len()];
            for (field, weight) in message.constants.iter().zip(&mut weights).rev() {
                match field {
                    Some(value) => constant -= power * *value,
                    None => *weight = Some(coefficients(-power)),
                }
                power *= beta;
            }
            Term { constant: constant.into(), weights }
        };
        Self(plan.messages.iter().map(term).collect())
    }
}

/// The coefficients of an extension element.
pub fn coefficients(x: EF) -> [F; 4] {
    core::array::from_fn(|k| <EF as BasedVectorSpace<F>>::as_basis_coefficients_slice(&x)[k])
}

/// What a chip says on packed rows.
pub struct Folder<'a> {
    main: &'a [PackedF],
    preprocessed: RowWindow<'a, PackedF>,
    public_values: &'a [F],
    terms: &'a Terms,
    /// Constraints over the base field.
    pub constraints: Vec<PackedF>,
    /// Denominator and count of each message.
    pub messages: Vec<(PackedEF, PackedF)>,
}

/// Buffers kept from row to row.
#[derive(Default)]
pub struct Buffers {
    main: Vec<PackedF>,
    table: Vec<PackedF>,
    constraints: Vec<PackedF>,
    messages: Vec<(PackedEF, PackedF)>,
}

/// Packs the rows `at..at + LANES` of a matrix.
pub fn gather(values: &[F], width: usize, at: usize, out: &mut Vec<PackedF>) {
    out.clear();
    let rows = &values[at * width..(at + LANES) * width];
    out.extend((0..width).map(|c| PackedF::from_fn(|lane| rows[lane * width + c])));
}

impl Buffers {
    /// Evaluates a chip on the rows `at..at + LANES` of its trace and its table, and hands the result to `then`.
    pub fn evaluate<R>(
        &mut self,
        instance: &crate::check::Instance,
        terms: &Terms,
        (main, table): (
            &p3_matrix::dense::RowMajorMatrix<F>,
            Option<&p3_matrix::dense::RowMajorMatrix<F>>,
        ),
        at: usize,
        then: impl FnOnce(&Folder<'_>) -> R,
    ) -> R {
        gather(&main.values, main.width, at, &mut self.main);
        self.table.clear();
        if let Some(table) = table {
            gather(&table.values, table.width, at, &mut self.table);
        }
        self.constraints.clear();
        self.messages.clear();
        let mut folder = Folder {
            main: &self.main,
            preprocessed: RowWindow::from_two_rows(&self.table, &self.table),
            public_values: &instance.public_values,
            terms,
            constraints: core::mem::take(&mut self.constraints),
            messages: core::mem::take(&mut self.messages),
        };
        p3_air::Air::eval(&instance.chip, &mut folder);
        let result = then(&folder);
        (self.constraints, self.messages) = (folder.constraints, folder.messages);
        result
    }
}

impl<'a> AirBuilder for Folder<'a> {
    type F = F;
    type Expr = PackedF;
    type Var = PackedF;
    type PreprocessedWindow = RowWindow<'a, PackedF>;
    type MainWindow = RowWindow<'a, PackedF>;
    type PublicVar = F;
    type PeriodicVar = PackedF;

    fn main(&self) -> Self::MainWindow {
        // No chip reads the next row.
        RowWindow::from_two_rows(self.main, self.main)
    }
    fn preprocessed(&self) -> &Self::PreprocessedWindow {
        &self.preprocessed
    }
    fn is_first_row(&self) -> PackedF {
        unreachable!("chips do not use row selectors")
    }
    fn is_last_row(&self) -> PackedF {
        unreachable!("chips do not use row selectors")
    }
    fn is_transition(&self) -> PackedF {
        unreachable!("chips do not use row selectors")
    }
    #[inline]
    fn assert_zero<I: Into<PackedF>>(&mut self, x: I) {
        self.constraints.push(x.into());
    }
    fn public_values(&self) -> &[F] {
        self.public_values
    }
}

impl InteractionBuilder for Folder<'_> {
    #[inline]
    fn push_interaction<E: Into<PackedF>>(
        &mut self,
        _: &str,
        fields: impl IntoIterator<Item = E>,
        count: impl Into<Count<PackedF>>,
    ) {
        let term = &self.terms.0[self.messages.len()];
        let mut sum = coordinates(&term.constant);
        for (field, weight) in fields.into_iter().zip(&term.weights) {
            let field = field.into();
            if let Some(weight) = weight {
                for (sum, &w) in sum.iter_mut().zip(weight) {
                    *sum += field * w;
                }
            }
        }
        let denominator = PackedEF::from_basis_coefficients_fn(|k| sum[k]);
        self.messages.push((denominator, count.into().into_parts().0));
    }
    fn push_local_interaction(
        &mut self,
        _: impl IntoIterator<Item = (Vec<PackedF>, Count<PackedF>)>,
    ) {
        unreachable!("chips use global buses only")
    }
}

/// Numerator and denominator of the sum of a column's messages.
pub fn fraction(members: &[usize], messages: &[(PackedEF, PackedF)]) -> (PackedEF, PackedEF) {
    let mut members = members.iter().map(|&i| &messages[i]);
    let Some(&(denominator, count)) = members.next() else {
        return (PackedEF::ZERO, PackedEF::ONE);
    };
    members.fold((PackedEF::from(count), denominator), |(n, d), &(denominator, count)| {
        (n * denominator + d * count, d * denominator)
    })
}

/// The inverse of each lane (zero for zero).
fn inverse(x: PackedEF) -> PackedEF {
    let [a0, a1, a2, a3] = coordinates(&x);
    let w = F::from_u32(3);
    // x = A + B X over Y = X^2 with Y^2 = w; A^2 - Y B^2 = n0 + n1 Y.
    let n0 = a0.square() + a2.square() * w - (a1 * a3).double() * w;
    let n1 = (a0 * a2).double() - a1.square() - a3.square() * w;
    let norm = n0.square() - n1.square() * w;
    let inverse = PackedF::from_fn(|lane| norm.as_slice()[lane].try_inverse().unwrap_or(F::ZERO));
    let (i0, i1) = (n0 * inverse, -(n1 * inverse));
    let r =
        [a0 * i0 + a2 * i1 * w, -(a1 * i0 + a3 * i1 * w), a0 * i1 + a2 * i0, -(a1 * i1 + a3 * i0)];
    PackedEF::from_basis_coefficients_fn(|k| r[k])
}

/// Inverts all elements, none of which has a zero lane, with one inversion.
pub fn invert_all(values: &mut [PackedEF], scratch: &mut Vec<PackedEF>) {
    scratch.clear();
    let mut product = PackedEF::ONE;
    for &value in values.iter() {
        scratch.push(product);
        product *= value;
    }
    let mut rest = inverse(product);
    for (value, &before) in values.iter_mut().zip(scratch.iter()).rev() {
        let this = rest * before;
        rest *= *value;
        *value = this;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_inverses_are_inverses() {
        let mut values: Vec<PackedEF> = (1..40u32)
            .map(|i| {
                PackedEF::from_basis_coefficients_fn(|k| {
                    PackedF::from_fn(|lane| {
                        F::from_u32(i * 977 + 31 * k as u32 + 7 * lane as u32 * i)
                    })
                })
            })
            .collect();
        let before = values.clone();
        invert_all(&mut values, &mut Vec::new());
        for (&x, &y) in before.iter().zip(&values) {
            assert_eq!(
                coordinates(&(x * y)),
                [PackedF::ONE, PackedF::ZERO, PackedF::ZERO, PackedF::ZERO]
            );
        }
    }
}
