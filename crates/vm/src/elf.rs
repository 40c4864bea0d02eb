//! The ELF32 loader. Everything in the file is outside input: sizes are bounded before anything is allocated.

use crate::error::ElfError;
use crate::image::{
    ADDRESS_SPACE, DataSegment, MAX_DATA_BYTES, MAX_INSTRUCTIONS, MAX_SYMBOLS, PC_SPACE,
    ProgramImage, Symbol,
};
use crate::isa::{Instr, decode};
use object::LittleEndian;
use object::elf::{self, FileHeader32, ProgramHeader32};
use object::read::elf::{FileHeader as _, ProgramHeader as _, Sym as _};

/// The largest ELF file accepted.
pub const MAX_FILE_BYTES: usize = 1 << 27;
/// The most program headers looked at.
const MAX_SEGMENTS: usize = 64;
/// `e_flags` bit of compressed code.
const EF_RISCV_RVC: u32 = 1;
/// `e_flags` mask of the float ABI.
const EF_RISCV_FLOAT_ABI: u32 = 6;

type Header = FileHeader32<LittleEndian>;

fn malformed(e: object::read::Error) -> ElfError {
    ElfError::Malformed(e.to_string())
}

fn bounded(what: &'static str, size: usize, limit: usize) -> Result<(), ElfError> {
    if size > limit {
        return Err(ElfError::TooLarge { what, size: size as u64, limit: limit as u64 });
    }
    Ok(())
}

impl ProgramImage {
    /// Loads a static RV32IM executable. Executable segments become the instruction table and are not readable as data; all others become initial memory.
    ///
    /// # Errors
    /// [`ElfError`] says what is wrong with the file.
    pub fn from_elf(file: &[u8]) -> Result<Self, ElfError> {
        bounded("file", file.len(), MAX_FILE_BYTES)?;
        let header = Header::parse(file).map_err(malformed)?;
        check_header(header)?;
        let segments = header.program_headers(LittleEndian, file).map_err(malformed)?;
        bounded("program header table", segments.len(), MAX_SEGMENTS)?;
        let (mut text, mut data) = (Vec::new(), Vec::new());
        for segment in segments
            .iter()
            .filter(|s| s.p_type(LittleEndian) == elf::PT_LOAD && s.p_memsz(LittleEndian) > 0)
        {
            let (address, bytes, executable) = check_segment(segment, file)?;
            if executable { text.push((address, bytes)) } else { data.push((address, bytes)) }
        }
        let (base, instrs) = instruction_table(text)?;
        let entry = header.e_entry(LittleEndian);
        let image =
            Self { base, entry, instrs, data: initial_data(data)?, symbols: symbols(header, file) };
        if image.index_of(entry).is_none() {
            return Err(ElfError::Entry(entry));
        }
        Ok(image)
    }
}

fn check_header(header: &Header) -> Result<(), ElfError> {
    let e = LittleEndian;
    if !header.is_little_endian() {
        return Err(ElfError::Unsupported("not little-endian"));
    }
    if header.e_machine(e) != elf::EM_RISCV {
        return Err(ElfError::Unsupported("not RISC-V"));
    }
    if header.e_type(e) != elf::ET_EXEC {
        return Err(ElfError::Unsupported("not an executable"));
    }
    if header.e_flags(e) & EF_RISCV_RVC != 0 {
        return Err(ElfError::Unsupported("compressed instructions"));
    }
    if header.e_flags(e) & EF_RISCV_FLOAT_ABI != 0 {
        return Err(ElfError::Unsupported("hardware floating point"));
    }
    Ok(())
}

/// A loadable segment's address, file bytes (zero-fill left out) and whether it is executable.
fn check_segment<'d>(
    segment: &ProgramHeader32<LittleEndian>,
    file: &'d [u8],
) -> Result<(u32, &'d [u8], bool), ElfError> {
    let e = LittleEndian;
    let (address, size, flags) = (segment.p_vaddr(e), segment.p_memsz(e), segment.p_flags(e));
    let misplaced = |why| ElfError::Segment { address, why };
    if !address.is_multiple_of(4) {
        return Err(misplaced("not aligned to a word"));
    }
    if u64::from(address) + u64::from(size) > u64::from(ADDRESS_SPACE.min(PC_SPACE)) {
        return Err(misplaced("ends above 2^29"));
    }
    if segment.p_filesz(e) > size {
        return Err(misplaced("larger in the file than in memory"));
    }
    if flags & elf::PF_X != 0 && flags & elf::PF_W != 0 {
        return Err(misplaced("both writable and executable"));
    }
    let bytes = segment.data(e, file).map_err(|()| misplaced("reaches beyond the file"))?;
    Ok((address, bytes, flags & elf::PF_X != 0))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.chunks(4).map(|c| c.iter().rev().fold(0, |w, &b| (w << 8) | u32::from(b)))
}

/// Merges executable segments into one dense table; gaps hold illegal instructions.
fn instruction_table(mut segments: Vec<(u32, &[u8])>) -> Result<(u32, Vec<Instr>), ElfError> {
    segments.sort_by_key(|s| s.0);
    let Some(&(base, _)) = segments.first() else {
        return Err(ElfError::Unsupported("no executable segment"));
    };
    let mut instrs = Vec::new();
    for (address, bytes) in segments {
        let start = ((address - base) / 4) as usize;
        if start < instrs.len() {
            return Err(ElfError::Segment { address, why: "overlaps another" });
        }
        bounded("text", 4 * (start + bytes.len().div_ceil(4)), 4 * MAX_INSTRUCTIONS)?;
        instrs.resize(start, Instr::ILLEGAL);
        instrs.extend(words(bytes).map(decode));
    }
    Ok((base, instrs))
}

fn initial_data(mut segments: Vec<(u32, &[u8])>) -> Result<Vec<DataSegment>, ElfError> {
    segments.sort_by_key(|s| s.0);
    let (mut total, mut end, mut data) = (0, 0, Vec::new());
    for (address, bytes) in segments {
        if address < end {
            return Err(ElfError::Segment { address, why: "overlaps another" });
        }
        end = address + bytes.len().next_multiple_of(4) as u32;
        total += bytes.len();
        bounded("initial data", total, MAX_DATA_BYTES)?;
        let all: Vec<u32> = words(bytes).collect();
        let Some(first) = all.iter().position(|&w| w != 0) else { continue };
        let last = all.iter().rposition(|&w| w != 0).unwrap_or(first);
        data.push(DataSegment {
            addr: address + 4 * first as u32,
            words: all[first..=last].to_vec(),
        });
    }
    Ok(data)
}

/// The function symbols; a file without a readable symbol table has none.
fn symbols(header: &Header, file: &[u8]) -> Vec<Symbol> {
    let e = LittleEndian;
    let Ok(sections) = header.sections(e, file) else { return Vec::new() };
    let Ok(table) = sections.symbols(e, file, elf::SHT_SYMTAB) else { return Vec::new() };
    let mut found: Vec<Symbol> = table
        .iter()
        .take(MAX_SYMBOLS)
        .filter(|s| s.st_type() == elf::STT_FUNC)
        .filter_map(|s| {
            let name = s.name(e, table.strings()).ok()?;
            let name = format!("{:#}", rustc_demangle::demangle(&String::from_utf8_lossy(name)));
            Some(Symbol { addr: s.st_value(e), size: s.st_size(e).max(1), name })
        })
        .collect();
    found.sort_by(|a, b| (a.addr, &a.name).cmp(&(b.addr, &b.name)));
    found.dedup_by_key(|s| s.addr);
    found
}
