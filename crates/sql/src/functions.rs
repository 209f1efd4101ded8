//! The functions that a statement may call: a list, because a function that makes long values of short ones can fill
//! the memory, which no limit on groups and sorts would notice.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Float64Builder, StringBuilder},
        datatypes::DataType,
    },
    common::ScalarValue,
    error::Result,
    execution::SessionStateDefaults,
    execution::session_state::SessionStateBuilder,
    logical_expr::{
        AggregateUDF, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility, planner::ExprPlanner,
    },
};
use millpond_record::json::{Object, Scalar};

use crate::growth::{Bounded, Growing, Growth};

/// Functions of one row whose value is no longer than its arguments.
const SCALARS: &[&str] = &[
    "abs",
    "acos",
    "array_element",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_length",
    "array_position",
    "array_slice",
    "arrow_typeof",
    "ascii",
    "asin",
    "atan",
    "atan2",
    "btrim",
    "cardinality",
    "cbrt",
    "ceil",
    "character_length",
    "chr",
    "coalesce",
    "contains",
    "cos",
    "current_date",
    "date_bin",
    "date_part",
    "date_trunc",
    "degrees",
    "ends_with",
    "exp",
    "find_in_set",
    "floor",
    "from_unixtime",
    "greatest",
    "initcap",
    "isnan",
    "iszero",
    "least",
    "left",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "make_date",
    "nanvl",
    "now",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "pi",
    "power",
    "radians",
    "random",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "reverse",
    "right",
    "round",
    "rtrim",
    "signum",
    "sin",
    "split_part",
    "sqrt",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "tan",
    "to_date",
    "to_hex",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    "translate",
    "trunc",
    "upper",
];

/// Functions whose value may be longer than their arguments, and how much.
const GROWING: &[(&str, Growth)] = &[
    ("concat", Growth::Together),
    ("make_array", Growth::Together),
    ("regexp_match", Growth::Captures),
    ("regexp_replace", Growth::Replacement),
    ("replace", Growth::Replacement),
    ("to_char", Growth::Form),
];

/// Aggregates whose value is a collection of all values: one row of it can be as large as the memory, and a join
/// copies it.
const COLLECTING: &[&str] = &["array_agg", "string_agg", "nth_value", "grouping"];

/// What statements may call.
#[derive(Clone, Debug)]
pub(crate) struct Functions {
    scalars: Vec<Arc<ScalarUDF>>,
    aggregates: Vec<Arc<AggregateUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

impl Functions {
    pub(crate) fn new() -> Self {
        let all = SessionStateDefaults::default_scalar_functions();
        let mut scalars: Vec<Arc<ScalarUDF>> = Vec::new();
        let mut array = None;
        for function in all {
            if SCALARS.contains(&function.name()) {
                scalars.push(function);
            } else if let Some((name, growth)) =
                GROWING.iter().find(|(name, _)| *name == function.name())
            {
                let bounded = Arc::new(ScalarUDF::new_from_impl(Bounded::new(function, *growth)));
                if *name == "make_array" {
                    array = Some(Arc::clone(&bounded));
                }
                scalars.push(bounded);
            }
        }
        scalars.push(Arc::new(ScalarUDF::new_from_impl(Member::text())));
        scalars.push(Arc::new(ScalarUDF::new_from_impl(Member::number())));
        let mut aggregates = SessionStateDefaults::default_aggregate_functions();
        aggregates.retain(|function| !COLLECTING.contains(&function.name()));
        // Those of DataFusion that plan operators and special forms by functions of the list alone.
        let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![
            Arc::new(datafusion::functions_nested::planner::FieldAccessPlanner),
            Arc::new(datafusion::functions::datetime::planner::DatetimeFunctionPlanner),
            Arc::new(datafusion::functions::unicode::planner::UnicodeFunctionPlanner),
            Arc::new(datafusion::functions_aggregate::planner::AggregateFunctionPlanner),
        ];
        planners.insert(0, Arc::new(Growing::new(array)));
        Self { scalars, aggregates, planners }
    }

    pub(crate) fn register(&self, builder: SessionStateBuilder) -> SessionStateBuilder {
        builder
            .with_scalar_functions(self.scalars.clone())
            .with_aggregate_functions(self.aggregates.clone())
            .with_expr_planners(self.planners.clone())
    }
}

/// `field(fields, 'a.b')` and `field_number(fields, 'a.b')`: a member of a JSON object by its dotted path.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    number: bool,
    signature: Signature,
}

impl Member {
    /// Name of the function that gives a text.
    pub(crate) const TEXT: &'static str = "field";
    /// Name of the function that gives a number.
    pub(crate) const NUMBER: &'static str = "field_number";

    fn text() -> Self {
        let texts = vec![DataType::Utf8, DataType::Utf8];
        Self { number: false, signature: Signature::exact(texts, Volatility::Immutable) }
    }

    fn number() -> Self {
        Self { number: true, ..Self::text() }
    }
}

impl ScalarUDFImpl for Member {
    fn name(&self) -> &str {
        if self.number { Self::NUMBER } else { Self::TEXT }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.number { DataType::Float64 } else { DataType::Utf8 })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [object, path] = arguments.args.as_slice() else {
            return datafusion::common::internal_err!("{} takes two arguments", self.name());
        };
        let rows = match (object, path) {
            (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)) => 1,
            _ => arguments.number_rows,
        };
        let value = |row: usize| Some((text_at(object, row)?, text_at(path, row)?));
        let array: ArrayRef = if self.number {
            let mut numbers = Float64Builder::with_capacity(rows);
            for row in 0..rows {
                numbers.append_option(value(row).and_then(|(object, path)| number(object, path)));
            }
            Arc::new(numbers.finish())
        } else {
            let mut texts = StringBuilder::new();
            for row in 0..rows {
                match value(row) {
                    Some((object, path)) => match Object::from_normalised(object).get(path) {
                        Some(Scalar::Null) | None => texts.append_null(),
                        Some(found) => texts.append_value(found.text()),
                    },
                    None => texts.append_null(),
                }
            }
            Arc::new(texts.finish())
        };
        if rows == 1
            && arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)))
        {
            return ScalarValue::try_from_array(&array, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// The number at a path; a string that is written as a number is one too, as in the query language.
fn number(object: &str, path: &str) -> Option<f64> {
    let object = Object::from_normalised(object);
    let text = match object.get(path)? {
        Scalar::Number(digits) => return digits.parse().ok(),
        Scalar::String(text) => text,
        _ => return None,
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn text_at(value: &ColumnarValue, row: usize) -> Option<&str> {
    match value {
        ColumnarValue::Scalar(scalar) => scalar.try_as_str().flatten(),
        ColumnarValue::Array(array) => {
            let texts = array.as_string_opt::<i32>()?;
            texts.is_valid(row).then(|| texts.value(row))
        }
    }
}
