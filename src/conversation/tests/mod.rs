//! Conversations built by hand: each fault with the packets that show it, and good ones without any.

mod bounds;
mod clients;
mod findings;
mod play;
mod sites;
mod timelines;
