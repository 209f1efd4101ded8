//! The routes that read: parameters -> query -> JSON. What a query means is decided below; what is here is the shape
//! of questions and answers.

pub(crate) mod aggregated;
pub(crate) mod context;
mod facets;
mod flow;
pub(crate) mod page;
pub(crate) mod parameters;
mod query;
pub(crate) mod reading;
mod runs;
pub(crate) mod search;
pub(crate) mod selection;
mod story;
pub(crate) mod table;

pub(crate) use self::{
    aggregated::aggregated,
    context::{context, one},
    facets::{facets, fields},
    flow::flow,
    page::write_record,
    parameters::{NoParameters, Parameters, Piece},
    query::{get_query, post_query},
    search::search,
    selection::filter,
    story::{request, trace},
};
