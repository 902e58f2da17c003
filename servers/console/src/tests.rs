//! The server on a model of its device.

mod crash;
mod device;
mod lines;
mod requests;
