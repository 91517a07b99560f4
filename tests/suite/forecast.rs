//! Forecasts: history, baselines, scores, the model and its training, backtests.

#[path = "forecast/backtest.rs"]
mod backtest;
#[path = "forecast/baselines.rs"]
mod baselines;
#[path = "forecast/known.rs"]
mod known;
#[path = "forecast/model.rs"]
mod model;
#[path = "forecast/outlook.rs"]
mod outlook;
