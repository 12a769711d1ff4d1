//! BMCs as an operator meets them: the binary against an emulator that refuses what real BMCs
//! refuse and has injectable faults, against sushy-tools, against documents of several vendors, and
//! IPMI against two simulators.

mod changes;
mod console;
mod documents;
mod emulator;
mod faults;
mod fleet;
mod installed;
mod ipmi;
mod rack;
mod reports;
mod safety;
mod secrets;
mod simulator;
mod sushy;
mod terminal;
mod vault;
mod vendors;
