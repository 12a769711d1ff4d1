//! DHCP on a network whose addresses this server owns: one function per message type.
//!
//! Source: RFC 2131 §4.3.

use std::net::Ipv4Addr;

use super::ignore_reason::IgnoreReason;
use super::leases::LeaseTable;
use super::reply;
use super::request_context::RequestContext;
use super::verdict::DhcpVerdict;
use crate::machine::{Lease, LeaseChange};
use crate::wire::dhcp::MessageType;

/// Decides about one message.
pub fn respond(leases: &mut LeaseTable, context: &RequestContext<'_>) -> DhcpVerdict {
    match context.message.options.message_type() {
        Some(MessageType::Discover) => discover(leases, context),
        Some(MessageType::Request) => request(leases, context),
        Some(MessageType::Decline) => decline(leases, context),
        Some(MessageType::Release) => release(leases, context),
        Some(MessageType::Inform) => inform(context),
        other => DhcpVerdict::ignored(IgnoreReason::MessageType(other)),
    }
}

/// Offers an address, and holds it for the client for a while. Source: RFC 2131 §4.3.1.
fn discover(leases: &mut LeaseTable, context: &RequestContext<'_>) -> DhcpVerdict {
    let address = match choose(leases, context) {
        Ok(address) => address,
        Err(why) => return DhcpVerdict::ignored(why),
    };
    // A reservation takes precedence over a lease; log the client that still holds the address.
    let holder = leases.holder(address).filter(|holder| {
        *holder != context.mac && !leases.is_free_for(address, context.mac, context.now)
    });
    let remark = holder.map(|holder| {
        format!("{address} is reserved for this client, but still leased to {holder}")
    });
    leases.offer(context.mac, &context.network.name, address, context.now);
    let (reply, boot_file) = reply::offer(context, address);
    DhcpVerdict {
        commit: None,
        reply: Ok((reply, boot_file)),
        remark,
    }
}

/// Grants or refuses an address. Source: RFC 2131 §4.3.2.
fn request(leases: &mut LeaseTable, context: &RequestContext<'_>) -> DhcpVerdict {
    let options = &context.message.options;
    let ciaddr = context.message.client_address;
    if let Some(server) = context.other_server() {
        leases.withdraw(context.mac, &context.network.name);
        return DhcpVerdict::ignored(IgnoreReason::OtherServer(server));
    }
    let requested = options
        .requested_address()
        .or((!ciaddr.is_unspecified()).then_some(ciaddr));
    let Some(requested) = requested else {
        return DhcpVerdict::refused(context, "the request contains no address");
    };
    if !context.network.subnet.is_host(requested) {
        return DhcpVerdict::refused(
            context,
            &format!("{requested} does not belong to {}", context.network.subnet),
        );
    }
    if let Some(reserved) = context.reserved().filter(|reserved| *reserved != requested) {
        return DhcpVerdict::refused(
            context,
            &format!("{requested} is not this client's address; {reserved} is reserved for it"),
        );
    }
    if context.reserved().is_none() {
        if context.is_ignored_stranger() {
            return DhcpVerdict::ignored(IgnoreReason::UnknownMachine);
        }
        // This server alone owns the subnet, so it refuses an unavailable address at once, and the
        // client starts again. Source: RFC 2131 §4.3.2, INIT-REBOOT.
        if !context.pool().is_some_and(|pool| pool.contains(requested)) {
            return DhcpVerdict::refused(context, &format!("{requested} is outside the pool"));
        }
        if !leases.is_free_for(requested, context.mac, context.now) {
            return DhcpVerdict::refused(context, &format!("{requested} is in use"));
        }
    }
    let lease = Lease {
        address: requested,
        network: context.network.name.clone(),
        holder: Some(context.mac),
        expires: context.now + context.network.lease_time,
    };
    leases.hold(lease.clone());
    let (reply, boot_file) = reply::acknowledge(context, requested);
    DhcpVerdict {
        commit: Some(LeaseChange::Hold(lease)),
        reply: Ok((reply, boot_file)),
        remark: None,
    }
}

/// Sets aside an address that another machine uses. Source: RFC 2131 §4.3.3.
fn decline(leases: &mut LeaseTable, context: &RequestContext<'_>) -> DhcpVerdict {
    let address = context.message.options.requested_address();
    if let Some(server) = context.other_server() {
        return DhcpVerdict::ignored(IgnoreReason::OtherServer(server));
    }
    let mut verdict = DhcpVerdict::ignored(IgnoreReason::NeverAnswered);
    let Some(address) = address else {
        return verdict;
    };
    if context.reserved() == Some(address) {
        verdict.remark = Some(format!(
            "{address} is reserved for this client, but another machine uses it"
        ));
    } else if leases.holder(address) == Some(context.mac) {
        let lease = leases.decline(address, &context.network.name, context.now);
        verdict.remark = Some(format!(
            "another machine uses {address}; the address is set aside for an hour"
        ));
        verdict.commit = Some(LeaseChange::Hold(lease));
    }
    verdict
}

/// Takes an address back. Source: RFC 2131 §4.3.4.
fn release(leases: &mut LeaseTable, context: &RequestContext<'_>) -> DhcpVerdict {
    let address = context.message.client_address;
    if let Some(server) = context.other_server() {
        return DhcpVerdict::ignored(IgnoreReason::OtherServer(server));
    }
    let mut verdict = DhcpVerdict::ignored(IgnoreReason::NeverAnswered);
    if leases.holder(address) == Some(context.mac) {
        leases.release(address);
        verdict.remark = Some(format!("{address} is free again"));
        verdict.commit = Some(LeaseChange::Release(address));
    }
    verdict
}

/// Answers a client that got its address elsewhere. Source: RFC 2131 §4.3.5.
fn inform(context: &RequestContext<'_>) -> DhcpVerdict {
    if context.is_ignored_stranger() {
        return DhcpVerdict::ignored(IgnoreReason::UnknownMachine);
    }
    let (reply, boot_file) = reply::inform(context);
    DhcpVerdict {
        commit: None,
        reply: Ok((reply, boot_file)),
        remark: None,
    }
}

/// Chooses an address for a client: its reserved address, or a free address of the pool.
fn choose(leases: &mut LeaseTable, context: &RequestContext<'_>) -> Result<Ipv4Addr, IgnoreReason> {
    if let Some(reserved) = context.reserved() {
        return Ok(reserved);
    }
    if context.is_ignored_stranger() {
        return Err(IgnoreReason::UnknownMachine);
    }
    let network = context.network;
    let pool = context
        .pool()
        .ok_or_else(|| IgnoreReason::NoPool(network.name.clone()))?;
    let requested = context.message.options.requested_address();
    leases
        .choose(pool, context.mac, &network.name, requested, context.now)
        .ok_or_else(|| IgnoreReason::PoolExhausted(network.name.clone()))
}
