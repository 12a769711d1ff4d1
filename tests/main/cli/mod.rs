//! The command line as its users see it: standard output, standard error and status together.

mod chains;
mod example;
mod generated;
mod host;
mod invocation;
mod loaders;
mod menu;
mod pxectl;
mod rack;
mod rehearse;
mod render;
mod secrets;
mod seeds;
mod store;
mod validate;
