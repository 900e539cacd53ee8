//! Whether the certificates of a cluster are good, and until when: the one that it shows, and the one that this user shows it.

use std::{
    error::Error,
    fmt, io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp, civil};
use kube::config::Kubeconfig;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, RootCertStore,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

use super::Cluster;

/// How long the cluster may take for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(2);
/// How far the clocks of machines may be apart that agree on the time.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(1);
/// Tags of the parts of a certificate, as X.509 has them.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// Parts between the version and the validity: number, algorithm, issuer.
const BEFORE_VALIDITY: usize = 3;
/// Two digits of a year below this are of this century.
const CENTURY_ENDS: i16 = 50;

/// Why the certificate that an API shows is not accepted: by the clock of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// It ended.
    Ended {
        /// Its end.
        at: Timestamp,
        /// What this machine's clock said.
        now: Timestamp,
    },
    /// It is good only later.
    NotYet {
        /// From when on.
        from: Timestamp,
        /// What this machine's clock said.
        now: Timestamp,
    },
}

impl CertificateFault {
    /// The fault of a certificate that a connection failed for, if it failed for that.
    pub(super) fn behind(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(rustls::Error::InvalidCertificate(fault)) = error.downcast_ref() {
            return Self::of(fault);
        }
        // What an error of input and output was made of is passed over by its own `source`.
        if let Some(inner) = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            return Self::behind(inner);
        }
        Self::behind(error.source()?)
    }

    fn of(fault: &CertificateError) -> Option<Self> {
        let at = |time: &UnixTime| Timestamp::from_second(time.as_secs().try_into().ok()?).ok();
        Some(match fault {
            CertificateError::ExpiredContext { time, not_after } => Self::Ended {
                at: at(not_after)?,
                now: at(time)?,
            },
            CertificateError::NotValidYetContext { time, not_before } => Self::NotYet {
                from: at(not_before)?,
                now: at(time)?,
            },
            _ => return None,
        })
    }

    /// Whether waiting for a moment does not help: clocks of machines may be seconds apart.
    pub fn is_lasting(self) -> bool {
        match self {
            Self::Ended { .. } => true,
            Self::NotYet { from, now } => from.duration_since(now) > CLOCKS_APART,
        }
    }
}

impl fmt::Display for CertificateFault {
    /// Goes on after "the certificate of the cluster's API".
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { at, .. } => write!(out, "is no longer good: it ended at {at}"),
            Self::NotYet { from, .. } => write!(out, "is not good yet, only from {from} on"),
        }
    }
}

/// The end of the certificate in a private kubeconfig; `None` if it holds none, or it cannot be read.
pub fn client_certificate_end(kubeconfig: &Path) -> Option<Timestamp> {
    let file = Kubeconfig::read_from(kubeconfig).ok()?;
    let mut users = file.auth_infos.into_iter();
    let encoded = users.find_map(|user| user.auth_info?.client_certificate_data)?;
    let pem = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .ok()?;
    end_of(&CertificateDer::from_pem_slice(&pem).ok()?)
}

impl Cluster {
    /// The end of the certificate that the cluster's API shows; `None` if it says nothing in time, or something else.
    pub async fn server_certificate_end(&self) -> Option<Timestamp> {
        let port = self.port()?;
        let roots = self.roots.clone();
        let asking = tokio::task::spawn_blocking(move || shown_on(port, &roots));
        asking.await.ok()?
    }

    /// The port of this machine on which its API is looked for.
    pub fn port(&self) -> Option<u16> {
        self.url.parse::<http::Uri>().ok()?.port_u16()
    }
}

/// The certificates of authorities that a kubeconfig trusts.
pub(super) fn roots(config: &kube::Config) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in config.root_cert.iter().flatten() {
        // One that cannot be used is trusted in nothing.
        let _ = roots.add(CertificateDer::from(certificate.clone()));
    }
    Arc::new(roots)
}

fn shown_on(port: u16, roots: &Arc<RootCertStore>) -> Option<Timestamp> {
    let config = ClientConfig::builder()
        .with_root_certificates(Arc::clone(roots))
        .with_no_client_auth();
    let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, HANDSHAKE).ok()?;
    stream.set_read_timeout(Some(HANDSHAKE)).ok()?;
    stream.set_write_timeout(Some(HANDSHAKE)).ok()?;
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut stream) {
            return match CertificateFault::behind(&error)? {
                CertificateFault::Ended { at, .. } => Some(at),
                CertificateFault::NotYet { .. } => None,
            };
        }
    }
    end_of(connection.peer_certificates()?.first()?)
}

/// Until when a certificate is good.
fn end_of(certificate: &[u8]) -> Option<Timestamp> {
    let (_, signed, _) = part(certificate)?;
    let (_, body, _) = part(signed)?;
    let mut rest = body;
    if rest.first() == Some(&VERSION) {
        rest = part(rest)?.2;
    }
    for _ in 0..BEFORE_VALIDITY {
        rest = part(rest)?.2;
    }
    let (SEQUENCE, validity, _) = part(rest)? else {
        return None;
    };
    let (tag, end, _) = part(part(validity)?.2)?;
    time(tag, std::str::from_utf8(end).ok()?)
}

/// Splits the first part off: its tag, its contents, and what follows.
fn part(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first & 0x80 == 0 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        // More than four digits would be more than there can be.
        let digits = Some(digits).filter(|digits| digits.len() <= 4)?;
        let length = digits
            .iter()
            .fold(0, |length, digit| length << 8 | usize::from(*digit));
        (length, rest)
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// A time such as `261122223000Z` or `20511122223000Z`.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z').filter(|text| text.is_ascii())?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            let century = if year < CENTURY_ENDS { 2000 } else { 1900 };
            (century + year, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let at = civil::DateTime::new(year, two(0)?, two(2)?, two(4)?, two(6)?, two(8)?, 0).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls::pki_types::UnixTime;

    use super::*;
    use crate::adapters::files;

    /// Good until the 22nd of November 2027, in two digits of the year.
    const SOON: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjzCCATSgAwIBAgIUeCHsXtnxjvXP7P5OUIsXpAEl8XgwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMB4XDTI2MTEyMjIyMzMyM1oXDTI3MTEyMjIy
MzMyM1owFDESMBAGA1UEAwwJMTI3LjAuMC4xMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEwZF5jX9IYOCw0FCm1vp8twaqA/yXi2CpyLtic6TbKWf7fjZsmhPFxu3b
smBNLdoHK7UQgMP++doOJ4hqsCgGXqNkMGIwHQYDVR0OBBYEFOkdbSNF/R1Jbfvj
+DtsfBeKttFwMB8GA1UdIwQYMBaAFOkdbSNF/R1Jbfvj+DtsfBeKttFwMA8GA1Ud
EwEB/wQFMAMBAf8wDwYDVR0RBAgwBocEfwAAATAKBggqhkjOPQQDAgNJADBGAiEA
ucqfrru9yVUefLY//UMx3u8w6qBYe9D68Yvk2P0uiZsCIQCmrwl2O8gVIqst4oc+
GQo2A9rpz7XSGWNbcYimGxKCTA==
-----END CERTIFICATE-----
";
    /// Good until the 25th of August 2081, in four.
    const LATER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBgDCCASWgAwIBAgIUcHcwqfeGrgma5H3npHZQq4BvP88wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMjIyMzMyM1oYDzIwODEwODI1
MjIzMzIzWjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQMHyzY9TwMD9hfwtNWR5h0BRb+cEE3yS+cddF5IQur/QBrwJuOuH0V
aXrKOiSV5MSp6LFtCY/ctIciSLGntjSzo1MwUTAdBgNVHQ4EFgQUaen5jOh/P7BL
XeRkERyVc62GPOIwHwYDVR0jBBgwFoAUaen5jOh/P7BLXeRkERyVc62GPOIwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAhIMAhxHxd19f993E84yj
+3SwIrpbuXR5Yg+thsSFlkgCIQCFqqs4GmubX8LP4L8pExtHmBHutCZ/7vbQ/6WW
yFe6dw==
-----END CERTIFICATE-----
";

    fn end(pem: &str) -> Option<String> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        end_of(&certificate).map(|end| end.to_string())
    }

    #[test]
    fn the_end_is_read_in_both_forms_of_a_year() {
        assert_eq!(end(SOON).as_deref(), Some("2027-11-22T22:33:23Z"));
        assert_eq!(end(LATER).as_deref(), Some("2081-08-25T22:33:23Z"));
    }

    #[test]
    fn the_end_of_a_certificate_that_a_handshake_failed_for_is_known() {
        let of = |error: CertificateError| {
            let error = rustls::Error::InvalidCertificate(error);
            CertificateFault::behind(&io::Error::new(io::ErrorKind::InvalidData, error))
        };
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let stamp = |seconds| Timestamp::from_second(seconds).unwrap();
        let (time, not_after) = (at(200), at(100));
        let expired = of(CertificateError::ExpiredContext { time, not_after }).unwrap();
        let (end, now) = (stamp(100), stamp(200));
        assert_eq!(expired, CertificateFault::Ended { at: end, now });
        let early = |not_before| {
            let not_before = at(not_before);
            of(CertificateError::NotValidYetContext { time, not_before }).unwrap()
        };
        // A clock that is a few seconds behind comes there by itself.
        assert!(expired.is_lasting() && early(300).is_lasting() && !early(230).is_lasting());
        assert_eq!(of(CertificateError::UnknownIssuer), None);
        let late: io::Error = io::ErrorKind::TimedOut.into();
        assert_eq!(CertificateFault::behind(&late), None);
    }

    #[test]
    fn the_certificate_of_a_kubeconfig_is_found() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("kubeconfig");
        let write = |user: serde_json::Value| {
            let text = serde_json::json!({
                "apiVersion": "v1", "kind": "Config", "users": [{ "name": "me", "user": user }],
            });
            files::write_private(&path, text.to_string().as_bytes()).unwrap();
        };
        let encoded = base64::engine::general_purpose::STANDARD.encode(SOON);
        write(serde_json::json!({ "client-certificate-data": encoded }));
        let found = client_certificate_end(&path).unwrap();
        assert_eq!(found.to_string(), "2027-11-22T22:33:23Z");
        for none in [
            serde_json::json!({ "client-certificate-data": "???" }),
            serde_json::json!({ "token": "x" }),
        ] {
            write(none);
            assert_eq!(client_certificate_end(&path), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = end_of(&bytes);
        }

        #[test]
        fn no_cut_certificate_has_an_end_that_it_does_not_say(at in 0_usize..400) {
            let whole = CertificateDer::from_pem_slice(SOON.as_bytes()).unwrap();
            let cut = &whole[..at.min(whole.len() - 1)];
            prop_assert_eq!(end_of(cut), None);
        }

        #[test]
        fn no_text_is_a_time_by_accident(text in "[0-9Zé]{0,16}") {
            if let Some(found) = time(UTC_TIME, &text) {
                prop_assert!(text.ends_with('Z') && found.to_string().ends_with('Z'));
            }
            let _ = time(GENERALIZED_TIME, &text);
        }
    }
}
