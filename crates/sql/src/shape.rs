//! What a plan may look like before it is optimized: only nodes that read, and neither so many nor such large
//! expressions that optimizing it, which nothing interrupts, would take long.

use std::sync::Arc;

use datafusion::{
    common::tree_node::{TreeNode, TreeNodeRecursion},
    error::Result,
    logical_expr::{Expr, LogicalPlan},
};

use crate::{
    SqlError,
    limits::{NODES_MAX, TABLES_MAX, TERM_BYTES, TERMS_MAX},
    statement::EXPECTED,
};

/// Refuses a plan that changes something or would take too long to optimize.
///
/// # Errors
/// What is wrong with the statement, and what was expected.
pub(crate) fn check(plan: &LogicalPlan) -> Result<(), SqlError> {
    let (mut nodes, mut tables) = (0, 0);
    let mut refused = None;
    let walked = plan.apply_with_subqueries(|node| {
        nodes += 1;
        tables += usize::from(matches!(node, LogicalPlan::TableScan(_)));
        refused = not_offered(node);
        let enough = nodes > NODES_MAX || refused.is_some();
        Ok(if enough { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(|error| SqlError::from_datafusion(error, 0))?;
    if let Some(what) = refused {
        return Err(SqlError::invalid(format!("{what} not offered, {EXPECTED}")));
    }
    if nodes > NODES_MAX {
        let message = format!(
            "the statement has more than {NODES_MAX} steps once each name of WITH stands for what it names, expected \
             fewer or shorter ones"
        );
        return Err(SqlError::invalid(message));
    }
    if tables > TABLES_MAX {
        let message =
            format!("the statement reads `logs` {tables} times, expected at most {TABLES_MAX}");
        return Err(SqlError::invalid(message));
    }
    weigh(plan).map(|_| ())
}

/// What of a node is not offered, if anything.
fn not_offered(node: &LogicalPlan) -> Option<&'static str> {
    use LogicalPlan as P;
    match node {
        P::Projection(_)
        | P::Filter(_)
        | P::Aggregate(_)
        | P::Sort(_)
        | P::Join(_)
        | P::Union(_)
        | P::TableScan(_)
        | P::EmptyRelation(_)
        | P::Subquery(_)
        | P::SubqueryAlias(_)
        | P::Limit(_)
        | P::Values(_)
        | P::Explain(_)
        | P::Analyze(_)
        | P::Distinct(_)
        | P::Unnest(_)
        | P::RecursiveQuery(_) => None,
        // They hold what they work on without counting it as memory of the statement.
        P::Window(_) => Some("window functions (`OVER`) are"),
        _ => Some("statements that change something are"),
    }
}

/// The terms that a column of the plan may have if each column below stood for what it was computed from.
fn weigh(plan: &LogicalPlan) -> Result<usize, SqlError> {
    let mut below = 1;
    for input in plan.inputs() {
        below = below.max(weigh(input)?);
    }
    let (mut all, mut heaviest) = (0_usize, 1_usize);
    let mut subqueries = Vec::new();
    let walked = plan.apply_expressions(|expression| {
        let mut terms = 0_usize;
        expression.apply(|term| {
            terms = terms.saturating_add(weight(term, below));
            match term {
                Expr::ScalarSubquery(subquery) => subqueries.push(Arc::clone(&subquery.subquery)),
                Expr::InSubquery(inside) => subqueries.push(Arc::clone(&inside.subquery.subquery)),
                Expr::Exists(exists) => subqueries.push(Arc::clone(&exists.subquery.subquery)),
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        all = all.saturating_add(terms);
        heaviest = heaviest.max(terms);
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(|error| SqlError::from_datafusion(error, 0))?;
    for subquery in &subqueries {
        weigh(subquery)?;
    }
    if all > TERMS_MAX {
        let message = format!(
            "a step of the statement has more than {TERMS_MAX} terms once each column of a subquery stands for what it \
             was computed from, expected fewer, or shorter texts"
        );
        return Err(SqlError::invalid(message));
    }
    Ok(match plan {
        LogicalPlan::Projection(_) => heaviest,
        // Its columns are values; nothing looks through it.
        LogicalPlan::Aggregate(_) => 1,
        _ => below,
    })
}

/// A text may be repeated for each row, so that it weighs by its length.
fn weight(term: &Expr, below: usize) -> usize {
    match term {
        Expr::Column(_) => below,
        Expr::Literal(value, _) => {
            1 + value.try_as_str().flatten().map_or(0, str::len) / TERM_BYTES
        }
        _ => 1,
    }
}
