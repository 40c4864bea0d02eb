//! Names for trace columns: a struct whose fields are the columns, so that a constraint reads like the rule it states.

/// A column as reports and documents show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnGroup {
    /// The field's name.
    pub name: &'static str,
    /// Index of its first column.
    pub start: usize,
    /// How many columns it has.
    pub len: usize,
    /// What it holds and what binds it.
    pub doc: &'static str,
}

/// The columns of one chip.
///
/// # Safety
///
/// Implementors are `repr(C)` structs made of `T`s only, for every `T: Copy`, with `WIDTH` of them. Only the `columns!` macro implements it.
pub unsafe trait Columns<T: Copy>: Sized {
    /// Number of columns.
    const WIDTH: usize;

    /// Sees a row as its columns.
    fn of(row: &[T]) -> &Self {
        assert_eq!(row.len(), Self::WIDTH, "a row has as many cells as the chip has columns");
        // SAFETY: by the trait's contract `Self` is exactly `WIDTH` values of type `T` in order, with the alignment of `T`.
        unsafe { &*row.as_ptr().cast::<Self>() }
    }

    /// Sees a row as its columns, to fill it.
    fn of_mut(row: &mut [T]) -> &mut Self {
        assert_eq!(row.len(), Self::WIDTH, "a row has as many cells as the chip has columns");
        // SAFETY: as in `of`, and the borrow is unique.
        unsafe { &mut *row.as_mut_ptr().cast::<Self>() }
    }
}

/// Defines a chip's columns: `columns! { /// doc \n pub struct Name { /// what it holds \n a: T, /// ... \n b: [T; 2] } }`.
#[macro_export]
macro_rules! columns {
    ($(#[$meta:meta])* pub struct $name:ident { $( #[doc = $doc:literal] $field:ident : $ty:ty ),+ $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct $name<T> { $( #[doc = $doc] pub $field: $ty ),+ }

        // SAFETY: a `repr(C)` struct of `T`s and arrays of `T`s, so `size_of::<Name<u8>>()` of them without padding.
        unsafe impl<T: Copy> $crate::columns::Columns<T> for $name<T> {
            const WIDTH: usize = core::mem::size_of::<$name<u8>>();
        }

        impl $name<u8> {
            /// The columns by name, in order.
            pub fn groups() -> Vec<$crate::columns::ColumnGroup> {
                let starts = [$( core::mem::offset_of!($name<u8>, $field) ),+];
                let names = [$( stringify!($field) ),+];
                let docs = [$( $doc ),+];
                let width = core::mem::size_of::<$name<u8>>();
                (0..starts.len())
                    .map(|i| $crate::columns::ColumnGroup {
                        name: names[i],
                        start: starts[i],
                        len: starts.get(i + 1).copied().unwrap_or(width) - starts[i],
                        doc: docs[i].trim(),
                    })
                    .collect()
            }
        }
    };
}
