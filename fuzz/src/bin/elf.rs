//! ELF files as `cairn prove` takes them from anybody.
#![no_main]

use cairn_vm::ProgramImage;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = ProgramImage::from_elf(data);
});
