//! The witness input: a stream of untrusted words.

use std::sync::Arc;

/// The largest input in bytes.
pub const MAX_INPUT_BYTES: usize = 1 << 28;

/// An input that a guest reads by hints, eight words at a time: word 0 is the length in bytes, then the bytes, zero-padded to a multiple of eight words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    words: Arc<[u32]>,
}

/// An input larger than [`MAX_INPUT_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the input has {0} bytes, at most {MAX_INPUT_BYTES} are possible")]
pub struct InputTooLarge(pub usize);

impl Input {
    /// Frames a byte string.
    ///
    /// # Errors
    /// When it is too large.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InputTooLarge> {
        if bytes.len() > MAX_INPUT_BYTES {
            return Err(InputTooLarge(bytes.len()));
        }
        let mut words = vec![bytes.len() as u32];
        words.extend(
            bytes.chunks(4).map(|c| c.iter().rev().fold(0, |w, &b| (w << 8) | u32::from(b))),
        );
        words.resize(words.len().next_multiple_of(8), 0);
        Ok(Self { words: words.into() })
    }

    /// The eight words of chunk `i`.
    #[must_use]
    pub fn chunk(&self, i: usize) -> Option<[u32; 8]> {
        self.words.get(8 * i..8 * i + 8)?.try_into().ok()
    }
}
