//! A bump allocator: a run is short, memory is large, and freeing costs cycles. Growing or freeing the newest allocation is done in place.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;

unsafe extern "C" {
    static __heap_start: u8;
    static __heap_end: u8;
}

struct Bump {
    /// Next free address; 0 before the first allocation.
    next: UnsafeCell<usize>,
}

// SAFETY: the machine has one thread.
unsafe impl Sync for Bump {}

#[global_allocator]
static HEAP: Bump = Bump { next: UnsafeCell::new(0) };

/// Allocates; halts the machine when memory is exhausted.
pub(crate) fn allocate(size: usize, align: usize) -> *mut u8 {
    let align = align.max(4);
    // SAFETY: one thread, and no reference to the cell's content is kept.
    unsafe {
        let mut next = *HEAP.next.get();
        if next == 0 {
            next = &raw const __heap_start as usize;
        }
        let start = (next + align - 1) & !(align - 1);
        let available = (&raw const __heap_end as usize).wrapping_sub(start);
        if start < next || size > available || available > 1 << 29 {
            cairn_accel::sys::halt(crate::EXIT_OUT_OF_MEMORY);
        }
        *HEAP.next.get() = start + size;
        start as *mut u8
    }
}

// SAFETY: every block is disjoint from all live ones: `next` only moves down when the newest block is freed or shrunk.
unsafe impl GlobalAlloc for Bump {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocate(layout.size(), layout.align())
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: one thread.
        unsafe {
            if pointer as usize + layout.size() == *self.next.get() {
                *self.next.get() = pointer as usize;
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: one thread; the newest block is grown or shrunk in place, any other is copied.
        unsafe {
            if pointer as usize + layout.size() == *self.next.get() {
                *self.next.get() = pointer as usize;
                return allocate(new_size, layout.align());
            }
            if new_size <= layout.size() {
                return pointer;
            }
            let new = allocate(new_size, layout.align());
            core::ptr::copy_nonoverlapping(pointer, new, layout.size());
            new
        }
    }
}
