#![doc = include_str!("docs/front.md")]
#![forbid(unsafe_code)]

mod body;
mod exchange;
mod layer;
mod network;
mod request;
mod service;

pub use body::RecordedBody;
pub use layer::MillpondLayer;
pub use network::{ForwardedHeader, Network, NotANetwork};
pub use service::{MillpondService, ResponseFuture};
