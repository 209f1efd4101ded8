//! How the client works and what it promises, a chapter for each question. Nothing is in these modules but text, whose
//! examples are tests.
//!
//! | chapter | answers |
//! |---|---|
//! | [`delivery`] | What happens between the call and the server's disk, when the server is away, and when this process dies? |
//! | [`content`] | What leaves the process, and who decides? |
//! | [`context`] | How does a record know its request, trace, user and flow? |
//! | [`lifecycle`] | How does a program begin and end: statics, signals, panics, forks, frozen processes? |
//! | [`local`] | How to work without a server? |
//! | [`environment`] | Which variables are read? |
//! | [`accounting`] | Where did my records go? |
//!
//! Reading what was stored has its chapter where its types are: [`read`](crate::read).

#[doc = include_str!("docs/accounting.md")]
pub mod accounting {}

#[doc = include_str!("docs/content.md")]
pub mod content {}

#[doc = include_str!("docs/context.md")]
pub mod context {}

#[doc = include_str!("docs/delivery.md")]
pub mod delivery {}

#[doc = include_str!("docs/environment.md")]
pub mod environment {}

#[doc = include_str!("docs/lifecycle.md")]
pub mod lifecycle {}

#[doc = include_str!("docs/local.md")]
pub mod local {}
