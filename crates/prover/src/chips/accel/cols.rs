//! Column sets: a struct of named columns that reads itself from a trace row, writes itself into one and knows its columns' names.

/// Type of a field: one column, or an array of columns.
macro_rules! field_type {
    ($t:ident) => {
        $t
    };
    ($t:ident, $n:expr) => {
        [$t; $n]
    };
}

/// Number of columns of a field.
macro_rules! field_len {
    () => {
        1
    };
    ($n:expr) => {
        $n
    };
}

/// Builds a field by taking its columns in order from a closure.
macro_rules! field_from {
    ($next:ident) => {
        $next()
    };
    ($next:ident, $n:expr) => {
        core::array::from_fn(|_| $next())
    };
}

/// Visits the columns of a field in order.
macro_rules! field_visit {
    ($value:expr, $visit:ident) => {
        $visit($value)
    };
    ($value:expr, $visit:ident, $n:expr) => {
        for value in $value {
            $visit(value);
        }
    };
}

/// Declares a column set: `columns! { /// docs pub struct Name { /// docs one, /// docs many: 16, } }`.
macro_rules! columns {
    ($(#[$struct_meta:meta])* pub struct $name:ident { $(#[doc = $doc:literal] $f:ident $(: $n:expr)?),* $(,)? }) => {
        $(#[$struct_meta])*
        pub struct $name<T> { $(#[doc = $doc] pub $f: $crate::chips::accel::cols::field_type!(T $(, $n)?)),* }

        impl<T> $name<T> {
            /// Number of columns.
            pub const WIDTH: usize = 0 $(+ $crate::chips::accel::cols::field_len!($($n)?))*;

            /// Every column from `next`, in order.
            pub fn build(mut next: impl FnMut() -> T) -> Self {
                Self { $($f: $crate::chips::accel::cols::field_from!(next $(, $n)?)),* }
            }

            /// Visits every column in order.
            pub fn visit(self, mut visit: impl FnMut(T)) {
                $($crate::chips::accel::cols::field_visit!(self.$f, visit $(, $n)?);)*
            }

            /// Reads the columns of a row (which has [`Self::WIDTH`] entries), converting each.
            pub fn read<S: Copy + Into<T>>(row: &[S]) -> Self {
                let mut cells = row.iter();
                Self::build(|| (*cells.next().expect("a row has WIDTH cells")).into())
            }

            /// Writes the columns into a row.
            pub fn write(self, row: &mut [T]) {
                let mut cells = row.iter_mut();
                self.visit(|value| {
                    if let Some(cell) = cells.next() {
                        *cell = value;
                    }
                });
            }

            /// The columns by name, in order.
            pub fn groups() -> Vec<$crate::columns::ColumnGroup> {
                let fields = [$((stringify!($f), $crate::chips::accel::cols::field_len!($($n)?), $doc)),*];
                let mut start = 0;
                fields
                    .into_iter()
                    .map(|(name, len, doc)| {
                        start += len;
                        $crate::columns::ColumnGroup { name, start: start - len, len, doc: doc.trim() }
                    })
                    .collect()
            }
        }

        impl<T: p3_field::PrimeCharacteristicRing> $name<T> {
            /// All columns zero: a padding row.
            pub fn zero() -> Self {
                Self::build(|| T::ZERO)
            }
        }
    };
}

pub(crate) use {columns, field_from, field_len, field_type, field_visit};
