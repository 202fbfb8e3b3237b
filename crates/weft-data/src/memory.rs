//! Memory for blocks.
//!
//! Blocks are a few to a few hundred megabytes. Fresh memory of that size costs more than most kernels do: the
//! system clears it page by page. So large blocks come in huge pages where the system has them, and
//! memory of blocks that are gone is kept for the next ones, up to a bound.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow_buffer::Buffer;

/// Memory from here on is kept, and from `HUGE` on it comes in huge pages.
const LARGE: usize = 512 << 10;
const HUGE: usize = 4 << 20;
const PAGE: usize = 2 << 20;
/// Bytes that are kept for later at most, and as things are now.
const KEPT: usize = 128 << 20;
static KEEP: AtomicUsize = AtomicUsize::new(KEPT);

/// A block of this size is gone from the caches by the time that it is read.
pub const BEYOND_CACHES: usize = 16 << 20;

/// Copies bytes that nobody will look at soon: what is to be overwritten is not read first.
///
/// # Safety
/// As of [`std::ptr::copy_nonoverlapping`].
pub unsafe fn copy_past_caches(from: *const u8, to: *mut u8, n: usize) {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2; the rest is the caller's promise.
        return unsafe { stream(from, to, n) };
    }
    // SAFETY: as the caller promises.
    unsafe { std::ptr::copy_nonoverlapping(from, to, n) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn stream(from: *const u8, to: *mut u8, n: usize) {
    use std::arch::x86_64::{_mm_sfence, _mm256_loadu_si256, _mm256_stream_si256};
    // Such writes go to whole words of 32 bytes.
    let head = to.align_offset(32).min(n);
    // SAFETY: as the caller promises; `to` is aligned after the head.
    unsafe {
        std::ptr::copy_nonoverlapping(from, to, head);
        let mut at = head;
        while at + 64 <= n {
            let (a, b) =
                (_mm256_loadu_si256(from.add(at).cast()), _mm256_loadu_si256(from.add(at + 32).cast()));
            _mm256_stream_si256(to.add(at).cast(), a);
            _mm256_stream_si256(to.add(at + 32).cast(), b);
            at += 64;
        }
        std::ptr::copy_nonoverlapping(from.add(at), to.add(at), n - at);
        // Whoever is told that the block is there sees what was written.
        _mm_sfence();
    }
}

/// Memory that is being filled.
pub struct Block {
    region: Region,
    nbytes: usize,
}

struct Region {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns its memory, as a `Vec` does.
unsafe impl Send for Region {}
// SAFETY: nothing is ever read or written through a shared reference to it.
unsafe impl Sync for Region {}

static SPARE: Mutex<Vec<Region>> = Mutex::new(Vec::new());

/// Keeps no more than a small part of what all values together may take.
pub(crate) fn keep_within(limit: usize) {
    KEEP.store(KEPT.min(limit / 16), Ordering::Relaxed);
    let_go();
}

/// Gives back what is kept.
pub(crate) fn let_go() {
    let kept = SPARE.lock().map(|mut spare| std::mem::take(&mut *spare));
    drop(kept);
}

impl Block {
    /// Memory for `nbytes` bytes, which may hold anything.
    pub fn new(nbytes: usize) -> Block {
        Block { region: Region::new(nbytes), nbytes }
    }

    /// Valid for writes of its bytes.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.region.start.as_ptr()
    }

    /// The bytes, all zero.
    pub fn zeroed(&mut self) -> &mut [u8] {
        // SAFETY: the region has room for them and is ours; zero bytes are bytes.
        unsafe {
            self.as_mut_ptr().write_bytes(0, self.nbytes);
            std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.nbytes)
        }
    }

    /// The memory, to be read from now on.
    ///
    /// # Safety
    /// All bytes have been written.
    pub unsafe fn filled(self) -> Buffer {
        let Block { region, nbytes } = self;
        let start = region.start;
        // SAFETY: the region has room for them, lives as long as `Owner`, and all have been written.
        unsafe { Buffer::from_custom_allocation(start, nbytes, Arc::new(Owner(Some(region)))) }
    }
}

/// Gives memory back once nobody looks at it.
struct Owner(Option<Region>);

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(region) = self.0.take() {
            region.keep();
        }
    }
}

impl Region {
    fn new(nbytes: usize) -> Region {
        let (size, align) = match nbytes {
            HUGE.. => (nbytes.next_multiple_of(PAGE), PAGE),
            LARGE.. => (nbytes.next_multiple_of(64 << 10), 64),
            _ => (nbytes.max(64), 64),
        };
        if nbytes >= LARGE
            && let Ok(mut spare) = SPARE.lock()
            && let Some(at) = spare.iter().position(|region| region.layout.size() == size)
        {
            return spare.swap_remove(at);
        }
        let Ok(layout) = Layout::from_size_align(size, align) else {
            handle_alloc_error(Layout::new::<[u8; PAGE]>())
        };
        // SAFETY: the size is not zero.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        #[cfg(target_os = "linux")]
        if nbytes >= HUGE {
            // SAFETY: the range is ours and aligned to pages; a refusal changes nothing.
            unsafe { libc::madvise(start.as_ptr().cast(), size, libc::MADV_HUGEPAGE) };
        }
        Region { start, layout }
    }

    fn keep(self) {
        if self.layout.size() < LARGE {
            return;
        }
        if let Ok(mut spare) = SPARE.lock() {
            let kept: usize = spare.iter().map(|region| region.layout.size()).sum();
            if kept + self.layout.size() <= KEEP.load(Ordering::Relaxed) {
                spare.push(self);
            }
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody else frees it.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_what_is_written() {
        for nbytes in [0, 1, 63, LARGE, LARGE + 1, HUGE, 3 * PAGE + 1] {
            let mut block = Block::new(nbytes);
            for i in 0..nbytes {
                // SAFETY: inside the block.
                unsafe { block.as_mut_ptr().add(i).write(i as u8) };
            }
            // SAFETY: all bytes have been written.
            let buffer = unsafe { block.filled() };
            assert!(buffer.len() == nbytes && buffer.iter().enumerate().all(|(i, &b)| b == i as u8));
        }
    }

    #[test]
    fn copies_past_caches_are_whole() {
        let from: Vec<u8> = (0..5000u32).map(|i| (i * 7) as u8).collect();
        for (start, n) in [(0, 0), (1, 31), (3, 1024), (5, 4995), (32, 4096), (40, 63)] {
            let mut to = vec![0u8; 5000];
            // SAFETY: inside both.
            unsafe { copy_past_caches(from.as_ptr().add(start), to.as_mut_ptr().add(start), n) };
            assert_eq!(to[start..start + n], from[start..start + n]);
            assert!(to[start + n..].iter().all(|&b| b == 0));
        }
    }

    #[test]
    fn memory_is_kept_within_bounds() {
        let many: Vec<Block> = (0..200).map(|_| Block::new(2 * LARGE)).collect();
        // SAFETY: never read.
        let buffers: Vec<Buffer> = many.into_iter().map(|block| unsafe { block.filled() }).collect();
        drop(buffers);
        let kept: usize = SPARE.lock().unwrap().iter().map(|region| region.layout.size()).sum();
        assert!(kept <= KEPT, "{kept}");
    }
}
