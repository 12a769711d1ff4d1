//! HashiCorp Vault: versions 1 and 2 of the key-value engine, over HTTP.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::machine::{Secret, cleaned};

/// The time limit of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest response, in bytes.
const RESPONSE_LIMIT: usize = 1024 * 1024;

/// A Vault server, configured by the environment: `VAULT_ADDR`, `VAULT_TOKEN` or `~/.vault-token`,
/// `VAULT_NAMESPACE`, `VAULT_CACERT`.
pub struct Vault {
    client: reqwest::Client,
    address: String,
    token: Secret,
    namespace: Option<String>,
}

impl Vault {
    /// Configures a Vault from the environment, without a request.
    ///
    /// # Errors
    /// What is missing or invalid.
    pub fn of_environment() -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let address = variable("VAULT_ADDR").unwrap_or_else(|| "https://127.0.0.1:8200".to_owned());
        if !address.starts_with("https://") && !address.starts_with("http://") {
            return Err("`VAULT_ADDR` is not an HTTP URL".to_owned());
        }
        let token = variable("VAULT_TOKEN").or_else(|| {
            let home = PathBuf::from(std::env::var_os("HOME")?);
            std::fs::read_to_string(home.join(".vault-token")).ok()
        });
        let token = token.map(|token| token.trim().to_owned());
        let token = token.filter(|token| !token.is_empty());
        let token = token.ok_or("no token: set `VAULT_TOKEN`, or run `vault login`")?;
        // Another part of the program may have installed the provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("pxectl/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = variable("VAULT_CACERT") {
            let pem = std::fs::read(&path).map_err(|error| format!("`{path}`: {error}"))?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| format!("`{path}`: {error}"))?;
            builder = builder.tls_certs_only(roots);
        } else if address.starts_with("http://") {
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| deepest(&error))?;
        Ok(Self {
            client,
            address: address.trim_end_matches('/').to_owned(),
            token: Secret::new(token),
            namespace: variable("VAULT_NAMESPACE"),
        })
    }

    /// Reads a field of a secret. It first requests the version of the mount, as Vault's own client
    /// does. If that is not permitted, it tries version 2, then version 1.
    ///
    /// # Errors
    /// The reason, which never contains the secret.
    pub async fn read(&self, path: &str, field: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let mount = self.get(&format!("sys/internal/ui/mounts/{path}")).await?;
        let (is_v2, known) = match &mount {
            Ok(answer) => {
                let mount = answer["data"]["path"].as_str().unwrap_or_default();
                let version = answer["data"]["options"]["version"].as_str();
                (
                    version == Some("2"),
                    Some(mount.trim_end_matches('/').to_owned()),
                )
            }
            Err(_) => (true, None),
        };
        let mount = known.clone().filter(|mount| !mount.is_empty());
        let first = path.split('/').next().unwrap_or_default();
        let mount = mount.unwrap_or_else(|| first.to_owned());
        let rest = path
            .strip_prefix(&mount)
            .unwrap_or_default()
            .trim_start_matches('/');
        // Version 2 keeps values below `data/`, which a path may already contain.
        let rest = rest.strip_prefix("data/").unwrap_or(rest);
        let v2 = format!("{mount}/data/{rest}");
        let mut status = 404;
        if is_v2 {
            match self.get(&v2).await? {
                Ok(answer) => return value(&answer["data"]["data"], field),
                Err(refused) => status = refused,
            }
        }
        if !is_v2 || known.is_none() {
            match self.get(path).await? {
                Ok(answer) => return value(&answer["data"], field),
                Err(refused) => status = refused,
            }
        }
        Err(match status {
            403 => "the token has no permission to read it".to_owned(),
            404 => "not found".to_owned(),
            status => format!("HTTP status {status}"),
        })
    }

    /// Sends a request. An error status is returned as the inner error.
    async fn get(&self, path: &str) -> Result<Result<Value, u16>, String> {
        let mut request = self
            .client
            .get(format!("{}/v1/{path}", self.address))
            .header("X-Vault-Request", "true")
            .header("X-Vault-Token", self.token.expose());
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        let unsent =
            |error: reqwest::Error| format!("cannot reach {}: {}", self.address, deepest(&error));
        let mut response = request.send().await.map_err(unsent)?;
        let status = response.status();
        if !status.is_success() {
            return Ok(Err(status.as_u16()));
        }
        let mut body = Zeroizing::new(Vec::new());
        while let Some(piece) = response.chunk().await.map_err(unsent)? {
            if body.len() + piece.len() > RESPONSE_LIMIT {
                return Err("the response exceeds 1 MiB".to_owned());
            }
            body.extend_from_slice(&piece);
        }
        let answer = serde_json::from_slice(&body);
        answer
            .map(Ok)
            .map_err(|_| "the response is not JSON".to_owned())
    }
}

fn value(data: &Value, field: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    match &data[field] {
        Value::String(text) => Ok(Zeroizing::new(text.clone().into_bytes())),
        Value::Number(number) => Ok(Zeroizing::new(number.to_string().into_bytes())),
        _ => Err(format!("the secret has no text field `{field}`")),
    }
}

fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    cleaned(&error.to_string(), 160)
}
