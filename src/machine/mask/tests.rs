use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::machine::{MacAddress, SessionId};
use crate::token::{Capability, Purpose, StoreKey};

const MAC: MacAddress = MacAddress::new([0x52, 0x54, 0, 1, 2, 3]);

fn token(key: u8, second: i64) -> String {
    let now = Timestamp::from_second(second).unwrap();
    let token = StoreKey::new([key; 32]).boot_token(MAC, None, now);
    token.expose().to_owned()
}

fn capability(key: u8, session: u64) -> String {
    let capability = Capability {
        session: SessionId::new(session),
        attempt: 2,
        purpose: Purpose::Callback,
    };
    StoreKey::new([key; 32])
        .capability(capability)
        .expose()
        .to_owned()
}

#[test]
fn our_secrets_are_masked_wherever_they_stand() {
    let (token, capability) = (
        token(7, 1_780_000_000),
        capability(7, 0x1234_5678_9abc_def0),
    );
    let percent: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let escaped = format!("{}\\xe2\\x80\\x8b{}", &token[..9], &token[9..]);
    let cut = format!("{}\u{200b}{}", &token[..9], &token[9..]);
    for (text, expected) in [
        (
            "m/52-54-00-01-02-03/TOKEN/grub.cfg",
            "m/52-54-00-01-02-03/•••/grub.cfg",
        ),
        ("the mode `TOKEN` is unknown", "the mode `•••` is unknown"),
        (
            "the file name `\\x01m\\x5cTOKEN\\xff` is not text",
            "the file name `\\x01m\\x5c•••\\xff` is not text",
        ),
        ("a\\nTOKEN\\u{1}", "a\\n•••\\u{1}"),
        (
            "m\\52-54-00-01-02-03\\TOKEN\\x",
            "m\\52-54-00-01-02-03\\•••\\x",
        ),
        (
            "m%2f52-54-00-01-02-03%2fTOKEN",
            "m%2f52-54-00-01-02-03%2f•••",
        ),
        ("boot.ipxe?token=TOKEN&mac=x", "boot.ipxe?token=•••&mac=x"),
        ("token-TOKEN-x", "token-•••-x"),
        ("PERCENT", "•••"),
        ("a CUT b", "a ••• b"),
        ("a HIDDEN b", "a ••• b"),
        ("a\\xc3\\xa9TOKEN\\xe2\\x80", "a\\xc3\\xa9•••\\xe2\\x80"),
        ("/s/CAP/installed", "/s/•••/installed"),
        ("xCAPx", "x•••x"),
        (
            "url=http://h/s/CAP/user-data",
            "url=http://h/s/•••/user-data",
        ),
        ("CAP", "•••"),
    ] {
        let text = text.replace("TOKEN", &token).replace("CAP", &capability);
        let text = text.replace("PERCENT", &percent).replace("CUT", &cut);
        let text = text.replace("HIDDEN", &escaped);
        assert_eq!(masked(&text), expected, "{text}");
    }
}

#[test]
fn damaged_secrets_are_masked_where_a_secret_belongs() {
    for (text, expected) in [
        ("/s/j4gCMvHuS60AAAABAUY0j/installed", "/s/•••/installed"),
        ("//s//J4GCMVHUS60AAAABAUY0J", "//s//•••"),
        (
            "m/52:54:00:12:34:56/J4GCMVHUS60AAAABAU/x",
            "m/52:54:00:12:34:56/•••/x",
        ),
        ("?token=abc", "?token=•••"),
        ("PASSWORD=hunter2 x", "PASSWORD=••• x"),
        ("https://admin:hunter2@10.0.0.1/x", "https://•••@10.0.0.1/x"),
        ("`https://admin:hun/ter2@h`", "`https://•••@h`"),
        ("from admin:hunter2@10.0.0.1", "from •••@10.0.0.1"),
    ] {
        assert_eq!(masked(text), expected);
        assert_eq!(masked(&masked(text)), expected, "masked twice");
    }
}

#[test]
fn names_digests_and_ids_stay_readable() {
    for text in [
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "session 0123456789abcdef",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "11111111-2222-3333-4444-555555555555",
        "ubuntu-24-04-live-server-am",
        "Ubuntu-24-04-Live-Server-amd64-2026-05a",
        "ata-Samsung_SSD_870_EVO_1TB_S6PTNM0T123",
        "UnableToModifyDuringSystemPOST",
        "ActionParameterNotSupported",
        "PXEClient:Arch:00007:UNDI:003016",
        "m/52-54-00-01-02-03/-/grub.cfg",
        "m/52-54-00-01-02-03/…/bootx64.efi",
        "http://10.20.0.10:8080/files/loader@2.efi",
        "registry.example:5000/rack/a@sha256:e3b0c442",
        "http://10.20.0.10:8080/s/SEED-CAPABILITY/",
        "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
        "boot_token=off, `token=` is missing, token=${token}",
        "root@10.20.0.10",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn invisible_characters_are_escaped() {
    assert_eq!(
        shown_line("a\u{202e}b\u{2066}c\u{200b}d\u{feff}\x1b[2J\u{9b}\u{e0041}\n\té"),
        "a\\u{202e}b\\u{2066}c\\u{200b}d\\u{feff}\\u{1b}[2J\\u{9b}\\u{e0041}\\u{a}\\u{9}é"
    );
    assert_eq!(shown_lines("a\n\tb\r"), "a\n\tb\\u{d}");
    let text = "a\u{202e}\u{e0041}\u{7f}é";
    let json = escaped_json(serde_json::to_string_pretty(&[text]).unwrap());
    assert_eq!(json, "[\n  \"a\\u202e\\udb40\\udc41\\u007fé\"\n]");
    assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [text]);
}

proptest! {
    #[test]
    fn no_token_and_no_capability_passes(
        key in any::<u8>(), second in 1_500_000_000i64..4_200_000_000, session in any::<u64>(),
        before in "[ -~]{0,12}", after in "[^0-9A-Za-z_-][ -~]{0,8}",
    ) {
        for secret in [token(key, second), capability(key, session)] {
            for text in [format!("{before} {secret}{after}"), format!("/{secret}"), secret.clone()] {
                prop_assert!(!masked(&text).contains(&secret), "{}", text);
            }
        }
    }

    #[test]
    fn arbitrary_text_is_masked_without_a_panic(text in any::<String>(), more in "[-A-Za-z0-9_/%=@:\\\\u{}s]{0,80}") {
        for text in [text, more] {
            let shown = shown_line(&text);
            prop_assert!(!shown.chars().any(is_invisible));
        }
    }

    #[test]
    fn hexadecimal_digits_are_not_a_secret(text in "[0-9a-f]{16,128}") {
        prop_assert_eq!(masked(&text), text.as_str());
    }

    #[test]
    fn runs_are_found_wherever_they_begin(before in "[ a]{0,70}", run in "[-A-Za-z0-9_]{16,80}", after in "[ a]{0,70}") {
        // In the place of a secret, a run is one, whatever its form.
        let text = format!("{before} /s/{run} {after}");
        let start = before.len() + 4;
        let found = secret_runs(text.as_bytes()).find(|it| it.start == start);
        prop_assert_eq!(found, Some(start..start + run.len()));
    }
}
