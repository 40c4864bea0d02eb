//! The loader on files that are malformed, oversized or for something else: a typed error, never a panic.

use cairn_vm::{ElfError, MAX_FILE_BYTES, ProgramImage};
use proptest::prelude::*;

/// One load segment of an ELF file made by [`elf`].
#[derive(Clone)]
struct Segment {
    address: u32,
    memory_size: u32,
    flags: u32,
    bytes: Vec<u8>,
}

const R: u32 = 4;
const W: u32 = 2;
const X: u32 = 1;

fn text() -> Segment {
    Segment {
        address: 0x1000,
        memory_size: 8,
        flags: R | X,
        bytes: [0x13u32.to_le_bytes(), 0x73u32.to_le_bytes()].concat(),
    }
}

fn data(address: u32) -> Segment {
    Segment { address, memory_size: 16, flags: R | W, bytes: vec![0, 0, 0, 0, 1, 2, 3, 4, 5] }
}

/// A 32-bit little-endian RISC-V executable with the entry at 0x1000.
fn elf(segments: &[Segment]) -> Vec<u8> {
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let half = |file: &mut Vec<u8>, v: u16| file.extend(v.to_le_bytes());
    let word = |file: &mut Vec<u8>, v: u32| file.extend(v.to_le_bytes());
    half(&mut file, 2);
    half(&mut file, 243);
    for v in [1, 0x1000, 52, 0, 0] {
        word(&mut file, v);
    }
    for v in [52, 32, segments.len() as u16, 40, 0, 0] {
        half(&mut file, v);
    }
    let mut offset = 52 + 32 * segments.len() as u32;
    for s in segments {
        for v in [1, offset, s.address, s.address, s.bytes.len() as u32, s.memory_size, s.flags, 4]
        {
            word(&mut file, v);
        }
        offset += s.bytes.len() as u32;
    }
    segments.iter().for_each(|s| file.extend(&s.bytes));
    file
}

#[test]
fn a_good_file_loads() {
    let image = ProgramImage::from_elf(&elf(&[text(), data(0x2000)])).unwrap();
    assert_eq!((image.base, image.entry, image.instrs.len()), (0x1000, 0x1000, 2));
    assert_eq!(image.initial_words().collect::<Vec<_>>(), [(0x2004, 0x0403_0201), (0x2008, 5)]);
}

fn refused(segments: &[Segment]) -> &'static str {
    match ProgramImage::from_elf(&elf(segments)) {
        Err(ElfError::Segment { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn misplaced_segments_are_refused() {
    assert_eq!(refused(&[text(), data(0x2002)]), "not aligned to a word");
    assert_eq!(refused(&[text(), data((1 << 29) - 8)]), "ends above 2^29");
    assert_eq!(refused(&[text(), data(0xffff_fff0)]), "ends above 2^29");
    assert_eq!(refused(&[text(), data(0x2000), data(0x2008)]), "overlaps another");
    assert_eq!(refused(&[text(), text()]), "overlaps another");
    assert_eq!(refused(&[Segment { flags: R | W | X, ..text() }]), "both writable and executable");
    assert_eq!(
        refused(&[text(), Segment { memory_size: 4, ..data(0x2000) }]),
        "larger in the file than in memory"
    );
}

#[test]
fn oversized_parts_are_refused() {
    assert!(matches!(
        ProgramImage::from_elf(&vec![0; MAX_FILE_BYTES + 1]),
        Err(ElfError::TooLarge { what: "file", .. })
    ));
    let far = Segment { address: 0x1000 + (1 << 24), ..text() };
    assert!(matches!(
        ProgramImage::from_elf(&elf(&[text(), far])),
        Err(ElfError::TooLarge { what: "text", .. })
    ));
    let many = vec![Segment { memory_size: 0, bytes: vec![], ..text() }; 65];
    assert!(matches!(ProgramImage::from_elf(&elf(&many)), Err(ElfError::TooLarge { .. })));
}

#[test]
fn files_for_something_else_are_refused() {
    let patched = |at: usize, byte: u8| {
        let mut file = elf(&[text()]);
        file[at] = byte;
        ProgramImage::from_elf(&file)
    };
    assert!(matches!(patched(0, 0), Err(ElfError::Malformed(_))));
    assert!(patched(4, 2).is_err(), "64-bit");
    assert!(patched(5, 2).is_err(), "big-endian");
    assert!(matches!(patched(16, 3), Err(ElfError::Unsupported(_))), "shared object");
    assert!(matches!(patched(18, 62), Err(ElfError::Unsupported(_))), "x86-64");
    assert!(matches!(patched(36, 1), Err(ElfError::Unsupported(_))), "compressed");
    assert!(matches!(patched(36, 4), Err(ElfError::Unsupported(_))), "hardware floats");
    assert!(matches!(patched(25, 0x20), Err(ElfError::Entry(_))));
    assert!(matches!(patched(24, 2), Err(ElfError::Entry(_))), "unaligned entry");
    assert!(
        matches!(ProgramImage::from_elf(&elf(&[data(0x2000)])), Err(ElfError::Unsupported(_))),
        "no text"
    );
}

proptest! {
    #[test]
    fn corrupted_files_never_panic(at in prop::collection::vec((0usize..200, any::<u8>()), 1..6), cut in 0usize..200) {
        let mut file = elf(&[text(), data(0x2000)]);
        for (i, byte) in at {
            let n = file.len();
            file[i % n] = byte;
        }
        let _ = ProgramImage::from_elf(&file);
        let _ = ProgramImage::from_elf(&file[..cut.min(file.len())]);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = ProgramImage::from_elf(&bytes);
    }
}
