//! Memory that was freed and that the process still holds, and what it holds in all.
//!
//! glibc keeps freed blocks below a threshold that grows with use, up to 32 MiB, and keeps them for
//! each thread's arena apart: after values of some megabytes have left for disk, their memory is free
//! for the same threads only, and the process stays as large as before. So who spills also hands back.

/// Gives free memory back to the operating system, where the allocator has to be asked. It visits
/// every arena: for moments at which much has been freed, not for each value.
pub(crate) fn return_free_memory() {
    crate::memory::let_go();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim may be called at any time from any thread; it takes the arenas' own locks
    // and touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Bytes of this process in memory that are no file's, where the system tells.
pub(crate) fn resident() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = pages.split_ascii_whitespace().skip(1).map(|n| n.parse::<usize>().ok());
    let (all, shared) = (pages.next()??, pages.next()??);
    Some(all.saturating_sub(shared).saturating_mul(page_size()))
}

#[cfg(target_os = "linux")]
fn page_size() -> usize {
    // SAFETY: asks for a constant.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(not(target_os = "linux"))]
fn page_size() -> usize {
    4096
}

/// From now on, blocks that are large beside `limit` are mapped one by one and go back to the operating system when
/// they are freed. glibc would raise the size from which it does so, up to 32 MiB, with each one that is freed, and
/// then holds as much between smaller blocks as a budget has in all. The price, fresh pages for each block, is small beside
/// writing to a disk; the number of mappings stays far below what the system allows.
pub(crate) fn keep_blocks_apart(limit: usize) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt changes a number that the allocator reads; no memory is touched.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, (limit / 8192).clamp(1 << 17, 1 << 22) as libc::c_int);
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = limit;
}
