//! The processor below the kernel. The only part that knows instructions.

pub mod x86_64;
