//! Handshake signatures with certificates that rustls refuses: X.509 version 1, and 1024-bit RSA
//! keys.
//!
//! Only for BMCs with a pinned certificate, under `tls: legacy`: the pin identifies the BMC, and
//! the signature proves that it holds the key.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA384, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_cert::der::Decode;

/// Verifies the signature of a TLS 1.2 handshake with the key of a certificate of any version.
///
/// # Errors
/// When the certificate cannot be parsed, or the signature is invalid.
pub fn verify(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let unreadable = |_| Error::from(CertificateError::BadEncoding);
    let certificate = x509_cert::Certificate::from_der(certificate).map_err(unreadable)?;
    let key = certificate.tbs_certificate.subject_public_key_info;
    let key_bytes = key.subject_public_key.raw_bytes();
    let is_p384 = key_bytes.len() == 97;
    let algorithm: &dyn VerificationAlgorithm = match (signature.scheme, is_p384) {
        (SignatureScheme::RSA_PKCS1_SHA256, _) => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        (SignatureScheme::RSA_PKCS1_SHA384, _) => &RSA_PKCS1_2048_8192_SHA384,
        (SignatureScheme::RSA_PKCS1_SHA512, _) => &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        (SignatureScheme::RSA_PSS_SHA256, _) => &RSA_PSS_2048_8192_SHA256,
        (SignatureScheme::RSA_PSS_SHA384, _) => &RSA_PSS_2048_8192_SHA384,
        (SignatureScheme::RSA_PSS_SHA512, _) => &RSA_PSS_2048_8192_SHA512,
        (SignatureScheme::ECDSA_NISTP256_SHA256, false) => &ECDSA_P256_SHA256_ASN1,
        (SignatureScheme::ECDSA_NISTP256_SHA256, true) => &ECDSA_P384_SHA256_ASN1,
        (SignatureScheme::ECDSA_NISTP384_SHA384, false) => &ECDSA_P256_SHA384_ASN1,
        (SignatureScheme::ECDSA_NISTP384_SHA384, true) => &ECDSA_P384_SHA384_ASN1,
        _ => {
            let message = "`tls: legacy` does not support the signature scheme of the BMC";
            return Err(Error::General(message.to_owned()));
        }
    };
    UnparsedPublicKey::new(algorithm, key_bytes)
        .verify(message, signature.signature())
        .map(|()| HandshakeSignatureValid::assertion())
        .map_err(|_| CertificateError::BadSignature.into())
}
