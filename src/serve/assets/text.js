// Everything the page says, in English and Chinese, and how it writes numbers and times.

import { INCIDENT_WORDS } from "./incidentwords.js";

const WORDS = {
  en: {
    ...INCIDENT_WORDS.en,
    levels: ["Smooth", "Mostly smooth", "Light", "Moderate", "Severe"],
    legend: "Congestion level",
    legendSource: "GB/T 33171: speed / free-flow speed",
    ratios: ["> 70 %", "50–70 %", "40–50 %", "30–40 %", "≤ 30 %"],
    signProfile: "no recent data (profile)",
    signJam: "jam, tail marked",
    signAlternative: "recommended way",
    signMain: "usual way",
    guidance: "Guidance",
    none: "Nothing to warn of.",
    loading: "Waiting for data…",
    now: "Now",
    forecast: "forecast",
    minutes: "min",
    play: "Play the forecast",
    pause: "Pause",
    step: "Time of the map, minutes from now",
    congested: "congested",
    mix: "Share of the network by congestion level",
    language: "中文",
    languageTitle: "切换到中文",
    themeDark: "Light",
    themeLight: "Dark",
    themeTitle: "Switch between dark and light",
    zoomIn: "Zoom in",
    zoomOut: "Zoom out",
    zoomFit: "Show the whole network",
    map: "Map of traffic. Arrow keys move, plus and minus zoom, Enter picks the road or incident in the middle.",
    ageFresh: "Data {age} old",
    ageStale: "Data {age} old: check the sources",
    ageDead: "Data {age} old: not current",
    ageWaiting: "Waiting for data",
    ageLost: "Connection lost",
    model: "Model",
    index: "Traffic performance index",
    fallback: "baseline",
    scores: "Forecast quality",
    errorAhead: "Mean error, km/h, by minutes ahead",
    forecasters: {
      published: "Published",
      running: "Model",
      shadow: "Shadow model",
      last_value: "Last value",
      profile: "Usual",
      profile_residual: "Usual and deviation",
    },
    holds: "90 % interval holds {share}",
    holdsJam: "90 % interval holds {share}, in jams {jam}",
    noOnsets: "No jam began.",
    announced: "{share} of beginning jams announced",
    lead: ", {minutes} min ahead",
    falseAlarms: "; {share} of alarms false",
    modelSpeaks: "The model speaks everywhere.",
    baselineSpeaks: "Instead of the model: {names} ({classes} of 5 speed classes).",
    drift: "The model errs {factor} times as much as expected.",
    scoresSource: "Against five-minute means measured later, about six hours.",
    jam: "Jam",
    diversion: "Diversion",
    unnamed: "Unnamed road",
    length: "Length",
    speed: "Speed",
    delay: "Delay",
    since: "Since",
    until: "Ends",
    later: "after 1 h",
    tail: "Tail at {name}",
    head: "Head at {name}",
    via: "via {names}",
    decide: "Decide on {name}",
    main: "Usual way",
    alternative: "Alternative",
    saves: "{time} saved",
    share: "for {share} of drivers",
    sure: "{share} sure",
    valid: "valid until {time}",
    freeFlow: "Free flow",
    limit: "Limit",
    lanes: "Lanes",
    samples: "Vehicles",
    doubt: "Left out",
    closed: "Closed",
    doubts: {
      distrusted: "a source without trust",
      unproven: "vehicles out of nowhere",
      ghost: "a queue others drive through",
      uncorroborated: "a drop only one source tells",
    },
    source: "Source",
    age: "Age",
    queue: "Queue",
    flow: "Flow",
    next: "Next hour, km/h",
    nextThree: "Next hour, and means of half an hour to three hours, km/h",
    close: "Close",
    never: "never seen",
    provenance: { observed: "measured", estimated: "estimated", profile: "profile only" },
    classes: {
      motorway: "expressway",
      trunk: "trunk road",
      primary: "primary road",
      secondary: "secondary road",
      tertiary: "tertiary road",
      unclassified: "minor road",
      residential: "residential street",
      service: "service road",
    },
  },
  zh: {
    ...INCIDENT_WORDS.zh,
    levels: ["畅通", "基本畅通", "轻度拥堵", "中度拥堵", "严重拥堵"],
    legend: "拥堵等级",
    legendSource: "GB/T 33171：车速 / 自由流车速",
    ratios: ["> 70 %", "50–70 %", "40–50 %", "30–40 %", "≤ 30 %"],
    signProfile: "无近期数据（历史规律）",
    signJam: "拥堵路段及队尾",
    signAlternative: "推荐路线",
    signMain: "常用路线",
    guidance: "交通诱导",
    none: "当前无诱导信息。",
    loading: "等待数据……",
    now: "现在",
    forecast: "预测",
    minutes: "分钟",
    play: "播放预测",
    pause: "暂停",
    step: "地图时刻，距现在的分钟数",
    congested: "拥堵",
    mix: "各拥堵等级占路网比例",
    language: "EN",
    languageTitle: "Switch to English",
    themeDark: "浅色",
    themeLight: "深色",
    themeTitle: "切换深色与浅色",
    zoomIn: "放大",
    zoomOut: "缩小",
    zoomFit: "显示全路网",
    map: "路况地图。方向键移动，加减键缩放，回车键选中地图中央的道路或事件。",
    ageFresh: "数据延迟 {age}",
    ageStale: "数据延迟 {age}：请检查数据源",
    ageDead: "数据延迟 {age}：已过时",
    ageWaiting: "等待数据",
    ageLost: "连接中断",
    model: "模型",
    index: "交通运行指数",
    fallback: "基线",
    scores: "预测质量",
    errorAhead: "平均误差，km/h，按提前分钟数",
    forecasters: {
      published: "已发布",
      running: "模型",
      shadow: "影子模型",
      last_value: "最近值",
      profile: "历史规律",
      profile_residual: "历史规律加偏差",
    },
    holds: "90 % 区间覆盖 {share}",
    holdsJam: "90 % 区间覆盖 {share}，拥堵时 {jam}",
    noOnsets: "无新增拥堵。",
    announced: "{share} 的新增拥堵已预报",
    lead: "，提前 {minutes} 分钟",
    falseAlarms: "；误报 {share}",
    modelSpeaks: "全部路段采用模型预测。",
    baselineSpeaks: "替代模型：{names}（5 个车速级别中的 {classes} 个）。",
    drift: "模型误差为预期的 {factor} 倍。",
    scoresSource: "与事后实测五分钟均值比较，约六小时。",
    jam: "拥堵",
    diversion: "绕行",
    unnamed: "无名道路",
    length: "长度",
    speed: "车速",
    delay: "延误",
    since: "开始",
    until: "预计结束",
    later: "1 小时后",
    tail: "队尾：{name}",
    head: "队首：{name}",
    via: "经 {names}",
    decide: "分流点：{name}",
    main: "常用路线",
    alternative: "推荐路线",
    saves: "节省 {time}",
    share: "建议 {share} 车辆",
    sure: "置信度 {share}",
    valid: "有效至 {time}",
    freeFlow: "自由流",
    limit: "限速",
    lanes: "车道",
    samples: "车辆数",
    doubt: "未采信",
    closed: "封闭",
    doubts: {
      distrusted: "不可信来源",
      unproven: "凭空出现的车辆",
      ghost: "他车可通过的排队",
      uncorroborated: "仅单一来源的骤降",
    },
    source: "来源",
    age: "数据时间",
    queue: "排队",
    flow: "流量",
    next: "未来一小时，km/h",
    nextThree: "未来一小时及至三小时的半小时平均，km/h",
    close: "关闭",
    never: "从未观测",
    provenance: { observed: "实测", estimated: "估计", profile: "仅历史规律" },
    classes: {
      motorway: "快速路",
      trunk: "干线公路",
      primary: "主干路",
      secondary: "次干路",
      tertiary: "支路",
      unclassified: "小路",
      residential: "居民区道路",
      service: "内部道路",
    },
  },
};

let language = "en";
let utcOffsetMs = 0;

export function startLanguage() {
  const asked = new URLSearchParams(location.search).get("lang");
  const preferred = asked || (navigator.language || "en");
  setLanguage(preferred.toLowerCase().startsWith("zh") ? "zh" : "en");
}

export function setLanguage(next) {
  language = next;
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
}

export function currentLanguage() {
  return language;
}

export function setUtcOffset(seconds) {
  utcOffsetMs = seconds * 1000;
}

/** The phrase of a key with `{name}` places filled in. */
export function say(key, places = {}) {
  const phrase = WORDS[language][key];
  if (typeof phrase !== "string") return phrase;
  return phrase.replace(/\{(\w+)\}/g, (_, name) => places[name] ?? "");
}

/** The name of a road or place in the page's language. */
export function nameOf(thing) {
  const [first, second] =
    language === "zh" ? [thing.name, thing.name_en] : [thing.name_en, thing.name];
  return first || second || say("unnamed");
}

/** Names one after the other. */
export function listed(names) {
  return names.join(language === "zh" ? "、" : ", ");
}

export function kmh(mps) {
  return `${Math.round(mps * 3.6)} km/h`;
}

export function metres(length) {
  return length >= 1000 ? `${(length / 1000).toFixed(1)} km` : `${Math.round(length / 10) * 10} m`;
}

export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

export function duration(seconds) {
  const zh = language === "zh";
  if (seconds < 100) return `${Math.round(seconds)} ${zh ? "秒" : "s"}`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} ${zh ? "分钟" : "min"}`;
  return `${(seconds / 3600).toFixed(1)} ${zh ? "小时" : "h"}`;
}

/** Event time as the city's clock shows it; simulations count from their own midnight. */
function local(ms) {
  const isSimulation = Math.abs(ms) < 86_400_000 * 366;
  return { at: new Date(ms + (isSimulation ? 0 : utcOffsetMs)), isSimulation };
}

export function clock(ms, withSeconds = false) {
  return local(ms).at.toISOString().slice(11, withSeconds ? 19 : 16);
}

export function day(ms) {
  const { at, isSimulation } = local(ms);
  if (isSimulation) return "";
  const locale = language === "zh" ? "zh-CN" : "en-GB";
  return at.toLocaleDateString(locale, {
    timeZone: "UTC",
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
  });
}
