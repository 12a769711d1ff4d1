/// Words that make a name secret wherever they stand in it: `bmc_password`, `secretKey`.
const PARTS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "apikey",
    "privatekey",
    "accesskey",
    "authkey",
    "encryptionkey",
    "preshared",
];
/// Words that make a name secret where they stand alone: `snmp-community`, `wifi.psk`.
const WORDS: [&str; 14] = [
    "pass",
    "pw",
    "pwd",
    "pswd",
    "passw",
    "psk",
    "cred",
    "creds",
    "community",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "otp",
];
/// Words that also count with one or two typing errors, and the number of errors allowed.
const MISSPELLED: [(&str, usize); 8] = [
    ("password", 2),
    ("passwd", 1),
    ("passphrase", 2),
    ("secret", 1),
    ("token", 1),
    ("credential", 2),
    ("credentials", 2),
    ("community", 2),
];
/// Names that hold such a word and no secret: `boot_token: off` is a switch.
const HARMLESS: [&str; 2] = ["boot_token", "boot-token"];

/// Reports whether a key, a parameter or a variable of this name holds a secret: `password`,
/// `bmc_passwd`, `apiKey`, `snmp-community`.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if HARMLESS.contains(&name.as_str()) {
        return false;
    }
    let joined: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    PARTS.iter().any(|part| joined.contains(part)) || words(&name).any(|word| WORDS.contains(&word))
}

/// Reports whether a key may be a secret's, be it misspelled: `pasword`, `tokn`.
pub fn may_be_secret_name(name: &str) -> bool {
    if is_secret_name(name) {
        return true;
    }
    let name = name.to_ascii_lowercase();
    words(&name).chain([name.as_str()]).any(|word| {
        MISSPELLED.iter().any(|(known, slips)| {
            word.len().abs_diff(known.len()) <= *slips
                && strsim::osa_distance(word, known) <= *slips
        })
    }) && !HARMLESS.contains(&name.as_str())
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_also_misspelled() {
        for name in [
            "password",
            "Password",
            "BMC_PASSWORD",
            "rootPasswd",
            "pass",
            "user.pass",
            "pwd",
            "token",
            "accessToken",
            "secret",
            "client-secret",
            "api_key",
            "private_key",
            "snmp_community",
            "psk",
            "credentials",
            "Authorization",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "pasword",
            "passord",
            "passwort",
            "pasowrd",
            "passwrd",
            "passwod",
            "bmc_pasword",
            "secert",
            "tokne",
            "tocken",
            "credantials",
            "comunity",
            "passprase",
        ] {
            assert!(may_be_secret_name(name), "{name}");
        }
    }

    /// Every key of the inventory but `password` is shown with its value.
    #[test]
    fn keys_of_the_inventory_hold_no_secrets() {
        const KEYS: &str = "
            address arch args arm as asset attempts base_url bmc boot boot_token bundle bundles by_path ca
            checksums deadline disk dns domain entries env exec expires file files filter first from
            gateway groups http_port https_port identity ignore image images install installer
            interface ip key keyring keys kind label labels lease_time loader loaders local_boot mac
            member menu min_size minisign mirror mode model mtu name network networks nics ntp only
            options ouis path pin plain_http pool port preset profile provisioning relays release
            required retry revoked routes search second secure_boot seeds serial server sha256
            signature signatures size source ssh_authorized_keys subnet system tftp_blksize
            tftp_ports tftp_single_port timeout timezone title tls to unknown unverified url
            username user-data uuid vars vault vendor_classes via wwn";
        for name in KEYS.split_whitespace() {
            assert!(!may_be_secret_name(name), "{name}");
        }
    }
}
