use crate::inventory::{ClientPatterns, Filter};
use crate::machine::MacAddress;
use crate::wire::dhcp::{DhcpOptions, OptionCode};

/// Returns the reason why a filter refuses a client; `None` if the filter accepts it.
pub fn refuses(filter: &Filter, mac: MacAddress, options: &DhcpOptions) -> Option<String> {
    let class = options.text(OptionCode::ClassIdentifier);
    let class = class.as_deref().unwrap_or_default();
    let ClientPatterns {
        vendor_classes,
        ouis,
    } = &filter.ignore;
    if let Some(prefix) = vendor_classes.iter().find(|it| class.starts_with(*it)) {
        return Some(format!(
            "vendor class `{class}` starts with `{prefix}`, which `filter.ignore` lists"
        ));
    }
    if let Some(oui) = ouis.iter().find(|oui| oui.made(mac)) {
        return Some(format!(
            "MAC address `{mac}` starts with `{oui}`, which `filter.ignore` lists"
        ));
    }
    let ClientPatterns {
        vendor_classes,
        ouis,
    } = &filter.only;
    let is_listed = vendor_classes.iter().any(|it| class.starts_with(it));
    if !vendor_classes.is_empty() && !is_listed {
        return Some(match class {
            "" => "the client sent no vendor class, and `filter.only` requires one".to_owned(),
            class => format!("vendor class `{class}` does not match `filter.only`"),
        });
    }
    if !ouis.is_empty() && !ouis.iter().any(|oui| oui.made(mac)) {
        return Some(format!("MAC address `{mac}` does not match `filter.only`"));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use jiff::Timestamp;

    use super::super::{DhcpResponder, IgnoreReason, Ingress, Response};
    use super::*;
    use crate::clients::dhcp::{Client, ClientKind};
    use crate::inventory::site_builder::SiteBuilder;
    use crate::machine::Architecture;
    use crate::token::StoreKey;
    use crate::wire::dhcp::TransactionId;

    const QEMU: &str = "52:54:00:00:00:01";
    const VMWARE: &str = "00:50:56:00:00:01";

    /// Returns the response to a machine, under a filter of the site and one of the network.
    fn response_to(site: &str, network: &str, mac: &str, class: Option<&str>) -> Response {
        let inventory = SiteBuilder::new(&format!(
            "filter: {{{site}}}\nloaders: {{uefi-x64: snponly.efi}}\nnetworks: [{{name: prov0, \
             subnet: 10.20.0.0/24, pool: 10.20.0.200-10.20.0.250, filter: {{{network}}}}}]"
        ))
        .build();
        let client = Client {
            kind: ClientKind::EdkPxe(Architecture::UefiX64),
            mac: mac.parse().unwrap(),
            uuid: None,
        };
        let mut discover = client.discover(TransactionId(7));
        discover.options.remove(OptionCode::ClassIdentifier);
        if let Some(class) = class {
            discover
                .options
                .set_text(OptionCode::ClassIdentifier, class);
        }
        let ingress = Ingress {
            network: Some("prov0"),
            address: Ipv4Addr::new(10, 20, 0, 10),
        };
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let key = StoreKey::new([7; 32]);
        DhcpResponder::new([]).respond(&inventory, &key, ingress, &discover, now)
    }

    #[test]
    fn ignore_filter_refuses_listed_clients_and_only_filter_refuses_all_others() {
        let msft = "vendor class `MSFT 5.0` starts with `MSFT`, which `filter.ignore` lists";
        let vmware =
            "MAC address `00:50:56:00:00:01` starts with `00:50:56`, which `filter.ignore` lists";
        let other = "vendor class `MSFT 5.0` does not match `filter.only`";
        let none = "the client sent no vendor class, and `filter.only` requires one";
        let maker = "MAC address `00:50:56:00:00:01` does not match `filter.only`";
        let ignore = "ignore: {vendor_classes: [MSFT], ouis: ['00:50:56']}";
        let only = "only: {vendor_classes: [PXEClient, HTTPClient], ouis: ['52:54:00']}";
        let pxe = Some("PXEClient:Arch:00007:UNDI:003016");
        for (filter, mac, class, expected) in [
            ("", VMWARE, None, None),
            (ignore, QEMU, pxe, None),
            (ignore, QEMU, None, None),
            (ignore, QEMU, Some("MSFT 5.0"), Some(msft)),
            (ignore, VMWARE, pxe, Some(vmware)),
            (only, QEMU, pxe, None),
            (only, QEMU, Some("HTTPClient"), None),
            (only, QEMU, Some("MSFT 5.0"), Some(other)),
            (only, QEMU, None, Some(none)),
            (only, VMWARE, pxe, Some(maker)),
        ] {
            // Either filter has the same effect.
            for (site, network) in [(filter, ""), ("", filter), (filter, filter)] {
                let reply = response_to(site, network, mac, class).reply;
                let refusal = reply.err();
                let expected = expected.map(|why| IgnoreReason::Filtered(why.to_owned()));
                assert_eq!(refusal, expected, "{site} {network} {mac} {class:?}");
            }
        }
    }
}
