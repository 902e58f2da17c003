//! Programs' calls from outside: each test is a program, told call by call.

mod crash;
mod files;
mod memory;
mod pending;
mod processes;
mod signals;
mod terminals;
mod vdso;
mod vdso_code;
