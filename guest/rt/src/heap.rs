//! A bump allocator that takes large blocks back: a run is short and memory is large, so small blocks are never reused (freeing costs cycles), but what a
//! contract can make in bulk (return data, precompile output, growing buffers) is, or a cheap loop could exhaust the machine.
//!
//! Growing or freeing the newest block is done in place. Any other freed block of at least [`LARGE`] bytes goes to the list of its size class, from which
//! the next allocation of that class is served.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;

unsafe extern "C" {
    static __heap_start: u8;
    static __heap_end: u8;
}

/// Blocks from this size on are reused.
const LARGE: usize = 512;
/// Alignment of large blocks; what asks for more is not reused.
const LARGE_ALIGN: usize = 16;
/// Four classes for each power of two, so that rounding up wastes at most a quarter.
const CLASSES: usize = 4 * usize::BITS as usize;

struct State {
    /// Next free address; 0 before the first allocation.
    next: usize,
    /// Heads of the lists of free blocks by class; the first word of a free block is the next one's address.
    free: [usize; CLASSES],
}

struct Bump(UnsafeCell<State>);

// SAFETY: the machine has one thread.
unsafe impl Sync for Bump {}

#[global_allocator]
static HEAP: Bump = Bump(UnsafeCell::new(State { next: 0, free: [0; CLASSES] }));

/// The size class of a large block, and the size of its blocks.
#[inline]
const fn class_of(size: usize) -> (usize, usize) {
    let log = (usize::BITS - 1 - size.leading_zeros()) as usize;
    let step = log - 2;
    let quarters = (size + (1 << step) - 1) >> step;
    (4 * log + quarters - 4, quarters << step)
}

/// What a block of this layout occupies.
#[inline]
const fn occupied(size: usize, align: usize) -> usize {
    if size >= LARGE && align <= LARGE_ALIGN { class_of(size).1 } else { size }
}

impl State {
    /// Takes fresh memory; halts the machine when it is exhausted.
    #[inline]
    fn bump(&mut self, size: usize, align: usize) -> *mut u8 {
        let mut next = self.next;
        if next == 0 {
            next = &raw const __heap_start as usize;
        }
        let start = (next + align - 1) & !(align - 1);
        let available = (&raw const __heap_end as usize).wrapping_sub(start);
        if start < next || size > available || available > 1 << 29 {
            cairn_accel::sys::halt(crate::EXIT_OUT_OF_MEMORY);
        }
        self.next = start + size;
        start as *mut u8
    }

    #[inline]
    fn allocate(&mut self, size: usize, align: usize) -> *mut u8 {
        if size < LARGE || align > LARGE_ALIGN {
            return self.bump(size, align.max(4));
        }
        self.allocate_large(size)
    }

    fn allocate_large(&mut self, size: usize) -> *mut u8 {
        if size > 1 << 29 {
            cairn_accel::sys::halt(crate::EXIT_OUT_OF_MEMORY);
        }
        let (class, size) = class_of(size);
        let head = self.free[class];
        if head == 0 {
            return self.bump(size, LARGE_ALIGN);
        }
        // SAFETY: a block in a list is free, aligned, and holds the address that `release` wrote.
        self.free[class] = unsafe { *(head as *const usize) };
        head as *mut u8
    }

    #[inline]
    fn release(&mut self, block: usize, size: usize, align: usize) {
        let large = size >= LARGE && align <= LARGE_ALIGN;
        if !large {
            if block + size == self.next {
                self.next = block;
            }
            return;
        }
        let (class, size) = class_of(size);
        if block + size == self.next {
            self.next = block;
            return;
        }
        // SAFETY: the caller gives the block back, and it is large and aligned enough for a word.
        unsafe { *(block as *mut usize) = self.free[class] };
        self.free[class] = block;
    }
}

/// Allocates for good, outside the lists; halts the machine when memory is exhausted.
pub(crate) fn allocate(size: usize, align: usize) -> *mut u8 {
    // SAFETY: one thread, and no reference to the cell's content is kept.
    unsafe { (*HEAP.0.get()).bump(size, align.max(4)) }
}

// SAFETY: every block is disjoint from all live ones: fresh memory lies above all blocks, a block in a list is free until it is taken out, and `next` only
// moves down when the newest block is freed or shrunk.
unsafe impl GlobalAlloc for Bump {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and no reference to the cell's content is kept.
        unsafe { (*self.0.get()).allocate(layout.size(), layout.align()) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { (*self.0.get()).release(pointer as usize, layout.size(), layout.align()) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: one thread; the newest block is grown or shrunk in place where it stays in its kind, any other is copied.
        unsafe {
            let state = &mut *self.0.get();
            let align = layout.align();
            let old = occupied(layout.size(), align);
            let fits = new_size <= 1 << 29;
            // A small block may sit where a large one may not start.
            let may_stay = layout.size() >= LARGE || new_size < LARGE || align > LARGE_ALIGN;
            let aligned = pointer as usize & (LARGE_ALIGN - 1) == 0;
            if fits && pointer as usize + old == state.next && (may_stay || aligned) {
                state.next = pointer as usize;
                return state.bump(occupied(new_size, align), align.max(4));
            }
            if new_size <= layout.size() {
                return pointer;
            }
            let new = state.allocate(new_size, align);
            core::ptr::copy_nonoverlapping(pointer, new, layout.size());
            state.release(pointer as usize, layout.size(), align);
            new
        }
    }
}
