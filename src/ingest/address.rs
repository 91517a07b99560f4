//! Broker addresses as people write them.

/// Host and port of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Host name or address; IPv6 in brackets.
    pub host: String,
    /// TCP port, 1883 unless stated.
    pub port: u16,
}

/// What is wrong with a broker URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The scheme is not one of ours.
    #[error("{0:?}: expected mqtt://host[:port]")]
    Scheme(String),
    /// TLS is asked for.
    #[error("{0:?}: this build speaks no TLS; see docs/decisions/0002-mqtt-transport.md")]
    Tls(String),
    /// A user stands in the URL.
    #[error("credentials do not belong into a URL: use the user name and a password file")]
    Credentials,
    /// The host is missing.
    #[error("{0:?} names no host")]
    Host(String),
    /// The port is no port.
    #[error("{0:?} is no port")]
    Port(String),
}

/// MQTT's registered port (IANA).
const DEFAULT_PORT: u16 = 1883;

impl std::str::FromStr for BrokerAddress {
    type Err = AddressError;

    /// Reads `mqtt://host[:port]`; the scheme may be missing.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = match text.split_once("://") {
            Some(("mqtt" | "tcp", rest)) => rest,
            Some(("mqtts" | "ssl", _)) => return Err(AddressError::Tls(text.into())),
            Some(_) => return Err(AddressError::Scheme(text.into())),
            None => text,
        };
        let rest = rest.trim_end_matches('/');
        if rest.contains('@') {
            return Err(AddressError::Credentials);
        }
        let bracket = rest.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match rest[bracket..].rfind(':') {
            Some(colon) => {
                let port = &rest[bracket + colon + 1..];
                let number: u16 = port
                    .parse()
                    .map_err(|_number| AddressError::Port(port.into()))?;
                (&rest[..bracket + colon], number)
            }
            None => (rest, DEFAULT_PORT),
        };
        if host.is_empty() || host.contains('/') {
            return Err(AddressError::Host(text.into()));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_usual_forms() {
        let read = |text: &str| text.parse::<BrokerAddress>().map(|a| (a.host, a.port));
        let is = |host: &str, port| Ok((host.to_owned(), port));
        assert_eq!(
            read("mqtt://broker.example:1884"),
            is("broker.example", 1884)
        );
        assert_eq!(read("mqtt://127.0.0.1/"), is("127.0.0.1", 1883));
        assert_eq!(read("localhost:11883"), is("localhost", 11883));
        assert_eq!(read("mqtt://[::1]:1883"), is("[::1]", 1883));
        assert_eq!(read("mqtt://[::1]"), is("[::1]", 1883));
        assert_eq!(
            read("mqtt://a:99999"),
            Err(AddressError::Port("99999".into()))
        );
        assert_eq!(read("mqtt://u:p@a"), Err(AddressError::Credentials));
        assert!(matches!(read("mqtts://a"), Err(AddressError::Tls(_))));
        assert!(matches!(read("http://a"), Err(AddressError::Scheme(_))));
        assert!(matches!(read("mqtt://"), Err(AddressError::Host(_))));
    }
}
