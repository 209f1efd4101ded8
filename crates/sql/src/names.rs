//! How large a query is once each name that `WITH` gives stands for what it names. Planning puts it so, and walks all
//! of it: ten names, each of which uses the one before it twice, are a thousand copies of the first.

use std::{collections::HashMap, ops::ControlFlow};

use datafusion::sql::sqlparser::ast::{ObjectName, Query, Visit, Visitor};

use crate::limits::NODES_MAX;

/// Whether the query reads no more than [`NODES_MAX`] tables and queries.
pub(crate) fn fit(query: &Query) -> bool {
    query.visit(&mut Unfolding::default()).is_continue()
}

/// Counts from the inside outwards, in the order in which the query is written: a name is counted before it is used.
#[derive(Debug, Default)]
struct Unfolding {
    /// What is read by each query around the place that is being looked at, outermost first.
    open: Vec<usize>,
    /// The queries that are named and not yet counted, by their address, which does not change meanwhile.
    named: HashMap<usize, String>,
    /// What is read by each name. A name that is given twice counts as the larger of the two.
    counted: HashMap<String, usize>,
}

impl Unfolding {
    fn add(&mut self, count: usize) -> ControlFlow<()> {
        let Some(innermost) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        *innermost = innermost.saturating_add(count);
        if *innermost > NODES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn address(query: &Query) -> usize {
    std::ptr::from_ref(query).addr()
}

impl Visitor for Unfolding {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for named in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.named.insert(address(&named.query), named.alias.name.value.to_lowercase());
        }
        self.open.push(1);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let count = self.open.pop().unwrap_or(1);
        match self.named.remove(&address(query)) {
            Some(name) => {
                let known = self.counted.entry(name).or_default();
                *known = count.max(*known);
                ControlFlow::Continue(())
            }
            None => self.add(count),
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = relation.0.last().and_then(|part| part.as_ident());
        let count = name.and_then(|name| self.counted.get(&name.value.to_lowercase()));
        self.add(count.copied().unwrap_or(1))
    }
}
