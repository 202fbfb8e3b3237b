//! Frame expressions, their optimizer, and kernels with pandas' semantics.
