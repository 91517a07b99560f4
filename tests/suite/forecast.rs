//! Forecasts: history, baselines, scores, the model and its training.

#[path = "forecast/baselines.rs"]
mod baselines;
#[path = "forecast/model.rs"]
mod model;
