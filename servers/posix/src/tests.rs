//! Programs' calls from outside: each test is a program, told call by call.

mod affinity;
mod arguments;
mod counters;
mod crash;
mod doubt;
mod events;
mod files;
mod handoff;
mod linger;
mod llm;
mod locks;
mod mapped;
mod memory;
mod pending;
mod pidfd;
mod processes;
mod refused;
mod signals;
mod sockets;
mod terminals;
mod vdso;
mod vdso_code;
