"""store_server.py with moods, for tests of what is slow and what is dead. The file DATA.mood says which: "health" hangs on
/health and on nothing else, a number makes every answer wait so many seconds."""
import time

import store_server


class Handler(store_server.Handler):
    def mood(self):
        try:
            with open(self.server.data + ".mood") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def parse_request(self):
        parsed = super().parse_request()
        mood = self.mood()
        if mood == "health":
            if parsed and self.path == "/health":
                time.sleep(1000)
        elif mood:
            time.sleep(float(mood))
        return parsed


if __name__ == "__main__":
    store_server.Handler = Handler
    store_server.main()
