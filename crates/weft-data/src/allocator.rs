//! Memory that was freed and that the process still holds.
//!
//! glibc keeps freed blocks below a threshold that grows with use, up to 32 MiB, and keeps them for
//! each thread's arena apart: after values of some megabytes have left for disk, their memory is free
//! for the same threads only, and the process stays as large as before. So who spills also hands back.

/// Gives free memory back to the operating system, where the allocator has to be asked. It visits
/// every arena: for moments at which much has been freed, not for each value.
pub(crate) fn return_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim may be called at any time from any thread; it takes the arenas' own locks
    // and touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}
