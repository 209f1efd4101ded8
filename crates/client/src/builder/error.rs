//! Why a client can't be built.

/// A client can't be built like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The endpoint is no address of a server.
    #[error(
        "build client: endpoint `{0}` is no address, expected http://HOST:PORT or https://HOST:PORT"
    )]
    Endpoint(String),
    /// The address of a shipper is none.
    #[error(
        "build client: `{0}` is no address, expected http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH"
    )]
    Url(String),
    /// A header can't be sent. Its value is not shown.
    #[error("build client: the header `{0}` has a character that no header can carry")]
    Header(String),
    /// The key can't be sent in a header. It is not shown.
    #[error(
        "build client: the API key has a character that no header can carry, expected printable ASCII"
    )]
    ApiKey,
    /// The DSN can't be read. It is not shown, because it has the key in it.
    #[error("build client: the DSN can't be read, expected https://KEY@HOST:PORT")]
    Dsn,
    /// The proxy is no address of one.
    #[error("build client: proxy: {0}, expected http://HOST:PORT or https://HOST:PORT")]
    Proxy(String),
    /// The certificates to trust can't be read.
    #[error("build client: CA certificates: {0}, expected PEM")]
    CaCertificates(String),
    /// The path of the spool is empty.
    #[error("build client: the path of `spool` is empty, expected a directory")]
    Spool,
    /// A limit that would let nothing pass.
    #[error("build client: `{0}` is zero, expected at least 1")]
    Zero(&'static str),
    /// A limit that makes no sense.
    #[error("build client: `{name}` is {value}, expected {min} to {max}")]
    Range {
        /// The limit.
        name: &'static str,
        /// What it was set to.
        value: usize,
        /// The least that it can be.
        min: usize,
        /// The most that it can be.
        max: usize,
    },
    /// A rate that is no probability.
    #[error("build client: the rate of `sample` is {0}, expected 0 to 1")]
    SampleRate(String),
    /// A variable of the environment says something that it can't.
    #[error("build client: {name} is `{value}` in the environment, expected {expected}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
        /// What it could say.
        expected: &'static str,
    },
}
