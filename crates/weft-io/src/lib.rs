//! Byte sources and readers: files, compression, blocks that end at line breaks, CSV.
