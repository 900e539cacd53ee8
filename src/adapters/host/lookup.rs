//! Names of hosts.

use std::{io, net::IpAddr};

/// The addresses of a host's name, as programs of this machine find them. The caller sets the time limit.
pub async fn addresses_of(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name, 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_has_a_name_of_its_own_and_a_wrong_name_leads_nowhere() {
        let found = addresses_of("localhost").await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback));
        assert!(addresses_of("a..b").await.is_err());
    }
}
