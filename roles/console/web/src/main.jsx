// main.jsx - asks who is logged in, then shows the page of the address or the log-in page.
import { render } from "preact";
import { useEffect } from "preact/hooks";
import "./style/app.css";
import { get } from "./lib/api.js";
import "./lib/servertexts.js";
import { language, setLanguage, t } from "./lib/i18n.js";
import { session } from "./lib/session.js";
import { Notices } from "./ui/bits.jsx";
import { Login } from "./pages/login.jsx";
import { Shell } from "./ui/shell.jsx";

const RETRY_MS = 3000;

async function ask() {
	try {
		session.value = await get("/session");
	} catch (problem) {
		if (problem.status === 401) session.value = null;
		else setTimeout(ask, RETRY_MS);
	}
}

function App() {
	useEffect(() => {
		ask();
	}, []);
	if (session.value === undefined) return <p class="loading">{t("Asking the console…")}</p>;
	return (
		<>
			{session.value ? <Shell key={language.value} /> : <Login />}
			<Notices />
		</>
	);
}

setLanguage(language.value);
render(<App />, document.getElementById("app"));
